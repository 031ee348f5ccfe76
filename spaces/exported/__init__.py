"""Any network through `torch.export`, as modules of torch's own and calls in their normal form.

What a call means and costs is not said here; which layers take the place of torch's, neither.
"""
