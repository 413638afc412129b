use std::fs;
use std::process::Command;

use levibot_core::backtest::{Point, Trials};
use levibot_core::domain::Ts;
use proptest::prelude::*;
use quick_xml::events::Event;
use serde_json::Value;

use super::samples::{SOURCE, Sample, outcome, summary};
use super::scale::{Axis, Steps, time_marks};
use super::*;

const ALL: [&str; 6] = [TRADES_CSV, FILLS_CSV, EQUITY_CSV, RESULT_JSON, EQUITY_PNG, REPORT_HTML];

fn full() -> Sample {
    Sample::chosen(outcome(4_000, true, 0.0))
}

/// Text that a browser shows, in order, tags left out; panics where tags are not closed in the order in which they were
/// opened.
fn shown(page: &str) -> String {
    let mut reader = quick_xml::Reader::from_str(page);
    let (mut open, mut text) = (Vec::new(), String::new());
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("at {}: {error}", reader.error_position())) {
            Event::Start(tag) => open.push(tag.name().as_ref().to_owned()),
            Event::End(tag) => assert_eq!(open.pop().as_deref(), Some(tag.name().as_ref())),
            Event::Text(inside) if open.last().is_none_or(|tag| tag != "style") => {
                text += &inside.html_content();
                text.push(' ');
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert!(open.is_empty(), "not closed: {open:?}");
    text
}

/// Pixels of a picture, 8 bits for red, green and blue each.
fn pixels(bytes: &[u8]) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    (info.width, info.height, pixels)
}

fn colours(pixels: &[u8]) -> usize {
    pixels.chunks_exact(3).collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn a_report_is_six_files_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("new").join("report");
    let sample = full();
    let written = write(&dir, &sample.report()).unwrap();
    assert_eq!(written.files, ALL.map(|name| dir.join(name)));
    write(&dir, &sample.report()).unwrap();
    let mut found: Vec<_> =
        fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    let mut wanted = ALL;
    wanted.sort_unstable();
    assert_eq!(found, wanted);
}

#[test]
fn nothing_of_an_earlier_run_stays_beside_the_figures_of_a_later_one() {
    let folder = tempfile::tempdir().unwrap();
    let sample = full();
    write(folder.path(), &sample.report()).unwrap();
    fs::write(folder.path().join("notes.txt"), "mine").unwrap();
    write_figures(folder.path(), &sample.report()).unwrap();
    let found: std::collections::BTreeSet<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(found, ["notes.txt", RESULT_JSON].map(str::to_owned).into());
}

#[test]
fn what_the_system_said_stands_once_among_the_reasons() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = write(&folder.path().join("file"), &full().report()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(!error.to_string().contains(&source), "{error}: {source}");
}

#[test]
fn the_page_is_well_formed_and_asks_nothing_from_elsewhere() {
    let sample = full();
    let page = page::page(&sample.report());
    let text = shown(&page);
    for title in
        ["Equity and drawdown", "Months", "Costs", "How sure this is", "Walk-forward", "Sweep", "Settings", "By hour"]
    {
        assert!(text.contains(title), "{title} is missing");
    }
    for outside in ["http:", "https:", "//", "src=", "url(", "@import", "<script", "<link", "<iframe", " onload"] {
        let code = page.replace(&words::escape(SOURCE), "");
        assert!(!code.contains(outside), "the page holds `{outside}`");
    }
    assert!(page.contains("default-src 'none'"), "no policy forbids what the page does not need");
    assert!(page.contains("prefers-color-scheme: dark") && page.contains("@media print"));
}

#[test]
fn words_of_others_are_text_and_stay_text() {
    let sample = full();
    let page = page::page(&sample.report());
    shown(&page);
    for dangerous in ["<script", "</pre><", "<really>", "<as given>", "<b>5 %"] {
        assert!(!page.contains(dangerous), "`{dangerous}` got into the page");
    }
    assert!(page.contains(&words::escape(SOURCE)), "the source is not shown as it is");
    assert!(page.contains("limits: none &lt;really&gt;"));
}

#[test]
fn a_backtest_without_bars_or_trades_gives_a_report_without_nonsense() {
    for (bars, trades, says) in [
        (0, false, "No trade was made"),
        (1, false, "No trade was made"),
        (900, false, "No trade was made"),
        (200, true, "too few trades"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let sample = Sample::plain(outcome(bars, trades, 0.0));
        write(folder.path(), &sample.report()).unwrap();
        let page = fs::read_to_string(folder.path().join(REPORT_HTML)).unwrap();
        shown(&page);
        let json = fs::read_to_string(folder.path().join(RESULT_JSON)).unwrap();
        for nonsense in ["NaN", "inf", "Infinity"] {
            assert!(!page.replace("info", "").contains(nonsense), "{bars} bars: the page holds {nonsense}");
            assert!(!json.contains(nonsense), "{bars} bars: the figures hold {nonsense}");
        }
        let verdict = luck_line(&page);
        assert!(verdict.contains(says) || trades && verdict.contains("Earned nothing"), "{bars} bars: {verdict}");
        let (width, height, pixels) = pixels(&fs::read(folder.path().join(EQUITY_PNG)).unwrap());
        assert_eq!((width, height), (1200, 675));
        assert!(colours(&pixels) > 2, "the picture of {bars} bars has not even a title");
    }
}

fn luck_line(page: &str) -> String {
    let (_, rest) = page.split_once("role=\"note\">").unwrap();
    rest.split_once("</div>").unwrap().0.to_owned()
}

#[test]
fn the_verdict_is_sober() {
    let verdict = |drift: f64, trials: Option<Trials>| {
        let outcome = outcome(20_000, true, drift);
        let sample = Sample { summary: summary(&outcome, trials), ..Sample::plain(outcome) };
        luck_line(&page::page(&sample.report()))
    };
    let many = Some(Trials { count: 5_000, sharpe_variance: 4.0 });
    let loss = verdict(-0.000_3, None);
    assert!(loss.contains("Earned nothing after costs"), "{loss}");
    let none = verdict(0.0, None);
    assert!(none.contains("<b>Cannot be told from luck</b>"), "{none}");
    let strong = verdict(0.0004, None);
    assert!(strong.contains("Better than luck, if nothing else was tried"), "{strong}");
    let weak = verdict(0.000_04, many);
    assert!(weak.contains("Cannot be told from luck") && weak.contains("5,000 trials"), "{weak}");
    // A sweep whose worth cannot be told is no run that stands alone.
    let swept = outcome(20_000, true, 0.0004);
    let sample = Sample { summary: summary(&swept, None), ..Sample::chosen(swept) };
    let swept = luck_line(&page::page(&sample.report()));
    assert!(swept.contains("<b>Cannot be told from luck</b>") && swept.contains("cannot be told"), "{swept}");
}

#[test]
fn the_figures_come_in_the_same_order_and_first_what_is_asked_for() {
    let sample = full();
    let bytes = result_json(&sample.report()).unwrap();
    assert_eq!(bytes, result_json(&sample.report()).unwrap());
    let text = String::from_utf8(bytes).unwrap();
    let places: Vec<usize> =
        ["bars", "fills", "fees", "net_pnl", "final_equity", "max_drawdown", "sharpe", "seconds", "bars_per_second"]
            .map(|key| text.find(&format!("\n  \"{key}\": ")).unwrap_or_else(|| panic!("{key} is missing")))
            .to_vec();
    assert!(places.is_sorted(), "{places:?}");
    assert!(text.find("\"zeta\"").unwrap() < text.find("\"alpha\"").unwrap(), "settings are not in the order given");
    let json: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["bars"], 4_000);
    assert_eq!(json["bars_per_second"], 16_000.0);
    assert_eq!(json["fees"], Value::from(sample.outcome.fees.to_f64()));
    assert_eq!(json["sweep"]["rows"].as_array().unwrap().len(), 96);
    assert_eq!(json["walk_forward"].as_array().unwrap().len(), 8);
    assert_eq!(json["summary"]["trades"]["count"], sample.summary.trades.count);
}

fn read(dir: &Path, name: &str) -> Vec<csv::StringRecord> {
    csv::Reader::from_path(dir.join(name)).unwrap().into_records().map(Result::unwrap).collect()
}

#[test]
fn tables_read_back_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let sample = full();
    write(folder.path(), &sample.report()).unwrap();
    let number = |row: &csv::StringRecord, at: usize| row[at].parse::<f64>().unwrap();
    let time = |row: &csv::StringRecord, at: usize| row[at].parse::<Ts>().unwrap();

    let curve: Vec<Point> = read(folder.path(), EQUITY_CSV)
        .iter()
        .map(|row| Point { ts: time(row, 0), equity: number(row, 1), gross: number(row, 2), net: number(row, 3) })
        .collect();
    assert_eq!(curve, sample.outcome.curve);

    let trips = read(folder.path(), TRADES_CSV);
    assert_eq!(trips.len(), sample.outcome.trips.len());
    for (row, trip) in trips.iter().zip(&sample.outcome.trips) {
        assert_eq!((&row[0], time(row, 2)), (trip.symbol.as_str(), trip.entered));
        assert_eq!((!row[3].is_empty()).then(|| time(row, 3)), trip.left);
        let told = [trip.qty, trip.entry_price, trip.exit_price, trip.gross, trip.fees, trip.funding, trip.net];
        assert_eq!([5, 6, 7, 8, 9, 10, 11].map(|at| number(row, at).to_bits()), told.map(f64::to_bits));
        assert_eq!(row[14], trip.exit.map(|exit| exit.to_string()).unwrap_or_default());
    }

    let fills = read(folder.path(), FILLS_CSV);
    assert_eq!(fills.len(), sample.outcome.executions.len());
    for (row, fill) in fills.iter().zip(&sample.outcome.executions) {
        assert_eq!(
            (time(row, 0), number(row, 3), number(row, 4), number(row, 5)),
            (fill.ts, fill.qty, fill.price, fill.fee)
        );
    }
}

#[test]
fn what_cannot_be_written_is_named_and_leaves_nothing_half() {
    let folder = tempfile::tempdir().unwrap();
    let sample = full();
    fs::create_dir_all(folder.path().join(REPORT_HTML).join("in the way")).unwrap();
    let error = write(folder.path(), &sample.report()).unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(error.to_string().contains(REPORT_HTML) && source.contains("irectory"), "{error}: {source}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().ends_with(".tmp")), "{left:?}");

    let file = folder.path().join("a file");
    fs::write(&file, "").unwrap();
    let error = write(&file, &sample.report()).unwrap_err().to_string();
    assert!(error.contains("a file") && error.contains("--out"), "{error}");
}

#[test]
fn a_picture_shows_a_spike_of_one_point_among_many() {
    let flat: Vec<(f64, f64)> = (0..50_000).map(|at| (f64::from(at) * 60.0, 100.0)).collect();
    let mut spike = flat.clone();
    spike[31_234].1 = 160.0;
    let picture = |points: Vec<(f64, f64)>| {
        let line = Line { name: "equity".to_owned(), ink: Ink::Main, points, is_filled: false };
        let label = "equity, USDT".to_owned();
        let pane = Pane { label, share: 1.0, unit: Unit::Plain, may_be_log: false, lines: vec![line] };
        let (title, subtitle) = ("title".to_owned(), "below".to_owned());
        Picture { title, subtitle, width: 600, height: 400, theme: Theme::Light, panes: vec![pane] }
    };
    // Ink of the line: more blue than red by far. The spike stands over the flat rest.
    let inked = |bytes: &[u8]| {
        let (width, _, pixels) = pixels(bytes);
        let rows = pixels.chunks_exact(width as usize * 3);
        rows.filter(|row| row.chunks_exact(3).any(|pixel| pixel[2] > pixel[0].saturating_add(60))).count()
    };
    let (without, with) = (inked(&picture(flat).png().unwrap()), inked(&picture(spike).png().unwrap()));
    assert!((1..=4).contains(&without) && with > 200, "{without} rows are flat, {with} with the spike");
    let Err(PictureError::Size { .. }) = (Picture { width: 50, ..picture(Vec::new()) }).png() else {
        panic!("a picture of 50 pixels was drawn");
    };
}

/// Draws the page as a browser does, where there is one; there is no way out to a network.
#[test]
fn a_browser_draws_the_page_without_complaint() {
    let Some(browser) = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success()))
    else {
        eprintln!("skipped: no chromium is installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let sample = full();
    write(folder.path(), &sample.report()).unwrap();
    let screenshot = folder.path().join("screen.png");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--window-size=900,1400"])
        .args(["--host-resolver-rules=MAP * ~NOTFOUND", "--no-first-run", "--disable-background-networking"])
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--screenshot={}", screenshot.display()))
        .arg(format!("file://{}", folder.path().join(REPORT_HTML).display()))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let complaints: Vec<&str> = told.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
    let bytes = fs::read(&screenshot).unwrap_or_else(|error| panic!("no screenshot: {error}\n{told}"));
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    reader.next_frame(&mut pixels).unwrap();
    assert!(colours(&pixels) > 50, "the page is blank");
}

proptest! {
    #[test]
    fn a_thinned_line_keeps_its_ends_and_every_extreme(
        values in prop::collection::vec(-1e6..1e6_f64, 1..3_000),
        columns in 2..400_usize,
    ) {
        let line: Vec<(f64, f64)> = (0..).map(f64::from).zip(values.iter().copied()).collect();
        let thin = shape::thin(&line, columns);
        let span = |line: &[(f64, f64)]| scale::span_of(line.iter().map(|point| point.1));
        prop_assert_eq!(span(&thin), span(&line));
        prop_assert_eq!((thin.first(), thin.last()), (line.first(), line.last()));
        prop_assert!(thin.len() <= 2 * columns + 2, "{} points", thin.len());
        prop_assert!(thin.windows(2).all(|pair| pair[0].0 < pair[1].0), "time does not go forward");
    }

    #[test]
    fn marks_lie_inside_and_places_too(a in -1e9..1e9_f64, length in 0.0..1e9_f64, most in 2..12_usize, log: bool) {
        let steps = if log { Steps::Log } else { Steps::Linear };
        let axis = Axis::new(steps, (a, a + length));
        let marks = axis.marks(most);
        prop_assert!(marks.values.is_sorted());
        prop_assert!(marks.values.len() <= 2 * most.max(3) + 1, "{marks:?}");
        for value in [a - 1.0, a, a + length / 2.0, a + length + 1.0, f64::NAN].into_iter().chain(marks.values) {
            prop_assert!((0.0..=1.0).contains(&axis.place(value)));
        }
    }

    #[test]
    fn marks_of_time_are_few_and_inside(from in -3e9..3e9_f64, length in 0.0..4e9_f64) {
        let marks = time_marks((from, from + length), 9);
        prop_assert!(marks.len() <= 20, "{marks:?}");
        prop_assert!(marks.iter().all(|(at, text)| (from..=from + length).contains(at) && !text.is_empty()), "{marks:?}");
    }

    #[test]
    fn a_histogram_counts_every_value(values in prop::collection::vec(-1e6..1e6_f64, 0..500)) {
        if let Some(bins) = shape::histogram(&values, 20) {
            prop_assert_eq!(bins.counts.iter().sum::<u64>(), values.len() as u64);
            prop_assert!(bins.beyond < bins.counts.iter().sum::<u64>());
        }
    }
}
