// The pictures alone, as files: what `atoll report --format svg` and `png` ask the page for.

const PICTURE_REM = 60;
const PIXELS_PER_REM = 16;

/** Returns every picture by its view: as the text of an SVG or the data URL of a PNG, with its words. */
function picturesAs(form) {
  const found = {};
  for (const { view, picture } of pictures) {
    const height = PIXELS_PER_REM * parseFloat(picture.height?.() ?? "30");
    const width = PIXELS_PER_REM * Math.max(PICTURE_REM, parseFloat(picture.width?.() ?? "0"));
    const canvas = document.createElement("canvas");
    const chart = form === "svg"
      ? echarts.init(null, null, { renderer: "svg", ssr: true, width, height })
      : echarts.init(canvas, null, { width, height, devicePixelRatio: 2 });
    chart.setOption({ ...whole(picture), backgroundColor: colour("paper") });
    found[view] = {
      words: `${picture.name}. ${picture.words()}`,
      picture: form === "svg" ? chart.renderToSVGString() : chart.getDataURL({ type: "png", pixelRatio: 2 }),
    };
    chart.dispose();
  }
  return found;
}
