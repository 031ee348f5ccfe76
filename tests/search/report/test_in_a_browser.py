"""The HTML report in a real browser: it draws, ranks as SQL does, and can be read by everybody."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from atoll.search.report import page as page_module
from atoll.search.report.html_report import write_html
from atoll.search.report.watch import Watched, server_of
from atoll.search.store.selection import choose_study
from atoll.search.store.store import Store

pytestmark = pytest.mark.slow
AXE = Path(__file__).with_name("axe") / "axe.min.js"
VIEWS = 9
TIMEOUT_MS = 200_000  # against hanging alone: on a machine that does much else a page takes a minute
#: what every text of a figure and a table needs, whatever names the data have
EVIL = "</script><script>globalThis.hacked = 1</script><img src=x onerror='globalThis.hacked = 2'>{a|b}"

Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """Opens a file and holds that nothing but it is asked for and nothing goes wrong."""
    problems: list[str] = []
    pages = []

    def opened(path: Path, **settings: Any) -> Any:
        shown = browser.new_page(**settings)
        shown.set_default_timeout(TIMEOUT_MS)
        pages.append(shown)
        shown.on("console", lambda message: problems.append(message.text))
        shown.on("pageerror", lambda error: problems.append(f"{error}"))
        shown.on("request", lambda request: asked.append(request.url))
        asked: list[str] = []
        shown.goto(path.as_uri())
        shown.wait_for_selector("html[data-ready]")
        assert asked == [path.as_uri()]
        return shown

    yield opened
    for one in pages:
        one.close()
    assert problems == []


def show_all(page: Any) -> None:
    """Has every picture drawn, as printing does."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")


@pytest.fixture(scope="module")
def written(made_up: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_html(made_up, choose_study(made_up, None), tmp_path_factory.mktemp("report"))


@pytest.mark.parametrize(("count", "pictures"), [(0, 0), (1, 3), (30, 7), (5000, 7)])
def test_studies_of_every_size_are_drawn(
    tmp_path: Path, store_of: Callable[[int], Store], open_page: Open, count: int, pictures: int
) -> None:
    store = store_of(count)
    path = write_html(store, choose_study(store, None), tmp_path)
    assert path.stat().st_size < 6e6
    page = open_page(path)
    show_all(page)
    assert page.locator("main h2").count() == VIEWS
    assert page.locator(".chart").count() == page.locator(".chart:has(canvas)").count() == pictures
    texts = page.locator(".chart").evaluate_all("all => all.map((one) => one.getAttribute('aria-label'))")
    assert all(len(text) > 30 for text in texts)


@pytest.mark.parametrize(
    ("weights", "scoring", "everything"),
    [
        ((3, 3, 3, 3, 3), "linear", False),
        ((0, 7.5, 1, 10, 0.5), "linear", True),
        ((1, 0, 0, 2, 0), "rank", True),
        ((2, 2, 1, 3, 5), "dense", True),
    ],
)
def test_the_sliders_rank_as_sql_does(
    made_up: Store, written: Path, open_page: Open, weights: tuple[float, ...], scoring: str, everything: bool
) -> None:
    page = open_page(written)
    for slider, weight in zip(page.locator("input[type=range]").all(), weights, strict=True):
        slider.fill(str(weight))
    page.get_by_label("scoring").select_option(scoring)
    page.get_by_label("also what misses").set_checked(everything)
    metrics = ("model_bytes", "latency_ms", "macs", "quality", "peak_memory_bytes")
    arguments = ", ".join(f"{name} := {weight}" for name, weight in zip(metrics, weights, strict=True))
    arguments += f", scoring := '{scoring}', everything := {everything}"
    wanted = made_up.query(f"SELECT rank, score, trial FROM reranked({arguments})").to_pylist()
    found = page.evaluate("atoll.report.board.map(({ rank, score, trial }) => ({ rank, score, trial }))")
    assert found == wanted and len(wanted) > 5
    shown = page.locator("#leaderboard tbody tr").evaluate_all(
        "rows => rows.map((row) => [0, 1, 2].map((place) => row.cells[place].textContent))"
    )
    assert shown == [[str(row["rank"]), f"{row['score']:.2f}", row["trial"]] for row in wanted]


def test_a_goal_ranks_as_the_store_does(made_up: Store, tmp_path: Path, open_page: Open) -> None:
    page = open_page(write_html(made_up, choose_study(made_up, "errors"), tmp_path))
    wanted = made_up.query(
        "SELECT rank, score, trial FROM ranked_trials WHERE study = 'errors' AND rank > 0 ORDER BY rank"
    ).to_pylist()
    found = "atoll.report.board.map(({ rank, score, trial }) => ({ rank, score, trial }))"
    assert page.evaluate(found) == wanted and len(wanted) > 3
    page.get_by_label("also what misses").check()
    assert len(page.evaluate(found)) == 7  # all of them, by the same halvings
    assert set(map(str, wanted[0].items())) <= {
        str(item) for row in page.evaluate(found) for item in row.items()
    }


def test_test_drops_are_those_of_the_leaderboard(made_up: Store, written: Path, open_page: Open) -> None:
    study = choose_study(made_up, None)
    rows = study.ranked(made_up.trials(study.name), all=True)
    wanted = {row["recipe"]: row["test_drop"] for row in rows if row["recipe"] != "baseline"}
    found = open_page(written).evaluate(
        "atoll.report.tables.recipes.map((row) => [row.recipe, row.test_drop])"
    )
    assert {recipe: drop for recipe, drop in found if recipe != "baseline"} == pytest.approx(wanted)
    assert sum(drop is not None for drop in wanted.values()) == 2


@pytest.mark.parametrize(("x", "y"), [("model_bytes", "quality"), ("latency_ms", "quality")])
def test_the_front_is_that_of_the_store(
    made_up: Store, written: Path, open_page: Open, x: str, y: str
) -> None:
    page = open_page(written)
    found = page.evaluate(
        """([x, y]) => { const { recipes } = atoll.report.tables; const { figures } = atoll.report;
        const met = recipes.filter((row) => row.feasible);
        return atoll.frontOf(met, x, y, figures[x].higher, figures[y].higher).map((row) => row.trial); }""",
        [x, y],
    )
    wanted = made_up.query(f"SELECT trial FROM pareto({x}, {y})").column("trial").to_pylist()
    assert sorted(found) == sorted(wanted) and len(wanted) > 1


def test_the_board_is_filtered_and_sorted_by_the_keyboard(written: Path, open_page: Open) -> None:
    page = open_page(written)
    page.get_by_label("also what misses").check()
    page.get_by_label("filter").fill("tensor_train quality>0.85 -> quantize(bits=8)")
    recipes = page.evaluate("atoll.report.board.map((row) => row.recipe)")
    assert recipes and all("tensor_train" in one and "quantize(bits=8)" in one for one in recipes)
    page.locator("button[data-column=latency_ms]").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.dataset.column") == "latency_ms"
    times = page.evaluate("atoll.report.board.map((row) => row.latency_ms)")
    assert times == sorted(times) and len(times) > 2
    page.keyboard.press("Enter")
    assert page.evaluate("atoll.report.board.map((row) => row.latency_ms)") == times[::-1]
    assert page.locator("th[aria-sort=descending]").inner_text().startswith("latency")
    page.locator("#leaderboard tbody button").first.press("Enter")
    trial = page.evaluate("atoll.report.board[0].trial")
    assert page.locator("#trial input").input_value() == trial
    assert page.evaluate("document.activeElement.id") == "trial-title"


def test_a_click_on_a_point_opens_its_trial(written: Path, open_page: Open) -> None:
    page = open_page(written)
    show_all(page)
    place, trial = page.evaluate(
        """() => { const chart = echarts.getInstanceByDom(document.querySelector("#pareto .chart"));
        const front = chart.getOption().series.find((one) => one.name === "front");
        return [chart.convertToPixel({ seriesName: "front" }, front.data[0].value), front.data[0].trial]; }"""
    )
    page.locator("#pareto .chart").click(position={"x": place[0], "y": place[1]})
    assert page.locator("#trial input").input_value() == trial


def test_names_of_the_data_stay_names(written: Path, tmp_path: Path, open_page: Open) -> None:
    text = written.read_text()
    data = json.loads(text.split('id="data">', 1)[1].split("</script>", 1)[0])
    for table in data["tables"].values():
        for name in {"recipe", "step", "reason", "technique", "second_technique", "broken"} & table.keys():
            table[name] = [f"{EVIL}{one}" if one != "baseline" else one for one in table[name]]
    for figure in data["figures"].values():
        figure["title"] = figure["heading"] = EVIL
    path = tmp_path / "evil.html"
    path.write_text(page_module.page(EVIL, [EVIL], {EVIL: EVIL}, data))
    page = open_page(path)
    show_all(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.locator("#pareto .chart").hover(position={"x": 200, "y": 200})
    assert page.evaluate("globalThis.hacked") is None
    assert page.locator("img").count() == 0 and page.locator("script").count() == 3
    assert page.locator("h1").inner_text() == EVIL


def test_the_policy_stops_what_would_be_put_in(written: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto(written.as_uri())
    page.wait_for_selector("html[data-ready]")
    page.evaluate("""() => { const script = document.createElement("script");
        script.textContent = "globalThis.hacked = 1"; document.body.append(script); }""")
    assert page.evaluate("globalThis.hacked") is None
    assert page.evaluate("fetch('https://example.org').then(() => 'sent', () => 'refused')") == "refused"
    page.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1200), ("dark", 360)])
def test_axe_finds_no_violation(written: Path, open_page: Open, scheme: str, width: int) -> None:
    page = open_page(written, color_scheme=scheme, viewport={"width": width, "height": 800})
    show_all(page)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.wait_for_timeout(100)
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
    told = [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in found["violations"]]
    assert told == [] and len(found["passes"]) > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_pictures_follow_the_colours_of_the_system(written: Path, open_page: Open) -> None:
    page = open_page(written, color_scheme="light")
    show_all(page)
    ink = "echarts.getInstanceByDom(document.querySelector('#pareto .chart')).getOption().textStyle.color"
    before = page.evaluate(ink)
    page.emulate_media(color_scheme="dark")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate(ink) != before


def test_an_old_browser_is_told_what_it_lacks(
    tmp_path: Path, browser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page_module, "PLAIN_BYTES", 0)
    path = tmp_path / "report.html"
    path.write_text(page_module.page("", [], {}, {}))
    page = browser.new_page()
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto(path.as_uri())
    page.get_by_text("any browser of 2023 or later can").wait_for()
    page.close()


def test_a_watched_page_comes_anew_as_it_was_left(store_of: Callable[[int], Store], browser: Any) -> None:
    store = store_of(30)
    server = server_of(Watched(store, "s"))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    page = browser.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    page.goto(f"http://127.0.0.1:{server.server_port}/")
    page.get_by_label("filter").fill("prune")
    page.locator("input[type=range]").first.fill("7.5")
    page.get_by_label("scoring").select_option("dense")
    before = page.evaluate("atoll.report.board.map((row) => row.score)")
    page.evaluate("globalThis.isOld = true")
    with page.expect_event("load"):
        os.utime(store.path, (0, 0))
    page.wait_for_selector("html[data-ready]")
    assert page.evaluate("globalThis.isOld") is None
    assert page.evaluate("atoll.report.board.map((row) => row.score)") == before and len(before) > 1
    page.close()
    server.shutdown()
    server.server_close()


def captions(page: Any) -> dict[str, str]:
    """Returns what is said under every picture, by its view."""
    return dict(
        page.locator("figcaption").evaluate_all(
            "all => all.map((one) => [one.closest('section').id, one.textContent])"
        )
    )


def test_a_baseline_alone_is_said_to_be_alone(
    tmp_path: Path, store_of: Callable[[int], Store], open_page: Open
) -> None:
    store = store_of(1)
    page = open_page(write_html(store, choose_study(store, None), tmp_path))
    said = captions(page)
    assert " of the baseline; 1 is on the front." in said["pareto"]
    assert said["history"] == "1 trial, of the baseline alone."
    assert page.locator("#leaderboard .note").inner_text().startswith("No recipe has finished yet")
    assert page.locator("#verdict p").inner_text()[0].isupper()


def test_recipes_are_counted_once_and_drawn_at_once(
    tmp_path: Path, store_of: Callable[[int], Store], open_page: Open
) -> None:
    store = store_of(4000)  # above 3,000 points ECharts draws in parts where it is not told otherwise
    page = open_page(write_html(store, choose_study(store, None), tmp_path))
    [[count]] = [
        store.query("SELECT count(*) FROM ranked_trials WHERE recipe <> 'baseline'").to_pylist()[0].values()
    ]
    page.locator("#history").scroll_into_view_if_needed()
    assert f" of {count:,} recipes and the baseline; " in captions(page)["pareto"]
    drawn = page.evaluate(
        """() => { dispatchEvent(new Event("beforeprint"));
        return echarts.getInstanceByDom(document.querySelector("#history .chart"))
            .getZr().storage.getDisplayList(true).length; }"""
    )
    assert drawn > count


def test_on_a_phone_no_words_lie_on_others(written: Path, open_page: Open) -> None:
    page = open_page(written, viewport={"width": 390, "height": 844})
    show_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for view in ("pareto", "history"):
        overlaps = page.evaluate(
            """(view) => {
            const chart = echarts.getInstanceByDom(document.querySelector(`#${view} .chart`));
            const texts = chart.getZr().storage.getDisplayList(true)
                .filter((one) => ["text", "tspan"].includes(one.type) && (one.style.text ?? "") !== "")
                .map((one) => {
                    const box = one.getBoundingRect().clone();
                    box.applyTransform(one.getComputedTransform() ?? [1, 0, 0, 1, 0, 0]);
                    return { text: one.style.text, box };
                })
                .filter(({ box }) => box.y < 90);
            return texts.flatMap((one, place) => texts.slice(place + 1)
                .filter((other) => one.box.intersect(other.box)).map((other) => [one.text, other.text]));
            }""",
            view,
        )
        assert overlaps == []
    heights = page.locator("#leaderboard tbody tr").evaluate_all("all => all.map((row) => row.offsetHeight)")
    assert len(heights) > 3 and max(heights) < 40  # a line each


def test_no_line_ends_within_an_arrow(written: Path, open_page: Open) -> None:
    page = open_page(written, viewport={"width": 390, "height": 844})
    arrows = page.locator("#verdict .arrow, #trial .note .arrow, #leaderboard td .arrow")
    assert arrows.count() > 5
    assert all(arrows.evaluate_all("all => all.map((one) => one.getClientRects().length === 1)"))
    texts = "#verdict p, .note, figcaption, td.recipe"
    assert page.locator(texts).evaluate_all(
        """all => all.flatMap((one) => [...one.childNodes])
        .every((one) => one.nodeType !== Node.TEXT_NODE || !one.data.includes("->"))"""
    )


def test_a_leaderboard_of_means_has_room_beside_its_recipes(written: Path, open_page: Open) -> None:
    page = open_page(written, viewport={"width": 1200, "height": 800})
    assert page.locator("#leaderboard td", has_text="±").count() > 0
    room = page.locator("#leaderboard .scroll").evaluate("one => one.clientWidth - one.scrollWidth")
    assert room >= 0
