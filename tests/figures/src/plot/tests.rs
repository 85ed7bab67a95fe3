use roxmltree::Document;

use super::plot;
use crate::{Figure, Kind, Point, Series, Spread};

fn point(label: &str, samples: &[f64]) -> Point {
    Point::new(label, Spread::of(samples))
}

fn figure(kind: Kind, series: Vec<Series>) -> Figure {
    Figure {
        name: "f".into(),
        title: "What <a packet> costs & why".into(),
        unit: "ns".into(),
        kind,
        log_y: false,
        series,
    }
}

fn bars() -> Figure {
    let invite = Point {
        ratio: Some(Spread { median: 1.5, low: 1.4, high: 1.6, samples: 3 }),
        aim: Some(1.3),
        ..point("INVITE, \"own\" <domain>", &[380.0, 384.0, 390.0])
    };
    let run = vec![point("empty program", &[30.0, 31.0, 33.0]), invite];
    let net = vec![point("empty program", &[0.0])];
    figure(
        Kind::Bars,
        vec![Series { name: "run".into(), points: run }, Series { name: "net".into(), points: net }],
    )
}

fn lines() -> Figure {
    let at = |x: f64, samples: &[f64]| Point { x: Some(x), aim: Some(900.0), ..point("", samples) };
    let points = vec![at(4_096.0, &[500.0, 510.0]), at(2.0, &[400.0, 420.0]), at(64.0, &[430.0, 460.0])];
    let kind = Kind::Lines { x: "backends".into(), log_x: true };
    figure(
        kind,
        vec![Series { name: "hot".into(), points: points.clone() }, Series { name: "cold".into(), points }],
    )
}

fn strips() -> Figure {
    let some = Series::of_samples("primary killed", &[900.0, 950.0, 1_010.0, 4_000.0], Some(2_000.0));
    figure(Kind::Distribution, vec![some, Series { name: "nothing".into(), points: vec![] }])
}

/// All texts of the drawing, which this parses first: it has to be XML.
fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).expect("a plot is XML");
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
}

fn count(svg: &str, tag: &str) -> usize {
    let document = Document::parse(svg).expect("a plot is XML");
    document.descendants().filter(|node| node.has_tag_name(tag)).count()
}

#[track_caller]
fn assert_has(texts: &[String], wanted: &[&str]) {
    for text in wanted {
        assert!(texts.iter().any(|present| present == text), "{text:?} in {texts:?}");
    }
}

#[test]
fn bars_have_every_label_value_unit_and_aim() {
    let texts = texts(&plot(&bars()));
    assert_has(
        &texts,
        &["What <a packet> costs & why", "INVITE, \"own\" <domain>", "empty program", "384", "31"],
    );
    assert_has(&texts, &["ns", "run", "net", "aim: at most"]);
}

#[test]
fn lines_have_their_axes_and_marks_at_what_was_chosen() {
    let svg = plot(&lines());
    assert_has(
        &texts(&svg),
        &["What <a packet> costs & why", "backends", "ns", "hot", "cold", "2", "64", "4096"],
    );
    assert_eq!(count(&svg, "circle"), 6, "each point is marked");
    assert_eq!(count(&svg, "polygon"), 2, "each line has its band");
}

#[test]
fn a_distribution_shows_every_sample_and_names_what_has_none() {
    let svg = plot(&strips());
    assert_has(&texts(&svg), &["primary killed", "nothing", "ns", "aim: at most"]);
    assert_eq!(count(&svg, "circle"), 4);
}

#[test]
fn a_plot_has_a_sheet_of_its_own() {
    for figure in [bars(), lines(), strips()] {
        let svg = plot(&figure);
        let document = Document::parse(&svg).unwrap();
        let root = document.root_element();
        let first = root.first_element_child().unwrap();
        assert_eq!(first.attribute("fill"), Some("#FFFFFF"));
        for size in ["width", "height"] {
            let length =
                |node: roxmltree::Node<'_, '_>| node.attribute(size).unwrap().parse::<i32>().unwrap();
            assert!(length(root) - length(first) <= 1, "{size}");
        }
    }
}

#[test]
fn the_same_figure_gives_the_same_bytes() {
    for figure in [bars(), lines(), strips()] {
        assert_eq!(plot(&figure), plot(&figure.clone()));
    }
}

#[test]
fn whatever_there_is_can_be_drawn() {
    for kind in [Kind::Bars, Kind::Distribution, Kind::Lines { x: "x".into(), log_x: true }] {
        let zero = Point { x: Some(0.0), ..point("zero", &[0.0]) };
        let below = Point { x: Some(-1.0), ..point("below", &[-3.0, 1e12]) };
        let nothing = Series { name: "nothing".into(), points: vec![] };
        let some = Series { name: "some".into(), points: vec![zero.clone(), below] };
        let zeros = Series { name: "zeros".into(), points: vec![zero] };
        for series in [vec![], vec![nothing.clone()], vec![some, nothing], vec![zeros]] {
            for log_y in [false, true] {
                texts(&plot(&Figure { log_y, ..figure(kind.clone(), series.clone()) }));
            }
        }
    }
}

#[test]
fn an_aim_of_a_ratio_is_drawn_where_its_value_would_be() {
    let figure = bars();
    // 384 is 1.5 times something, so that 1.3 times it is 332.8.
    let aimed = super::rows::aimed(&figure.series[0].points[1]).unwrap();
    assert!((aimed - 332.8).abs() < 1e-9);
    assert_eq!(super::rows::aimed(&figure.series[0].points[0]), None);
    assert_eq!(super::rows::aimed(&lines().series[0].points[0]), Some(900.0));
}

#[test]
fn many_series_wrap_their_legend() {
    let name = |at: usize| format!("a series with quite a long name, number {at}");
    let series = |at| Series { name: name(at), points: vec![point("one", &[1.0])] };
    let svg = plot(&figure(Kind::Bars, (0..9).map(series).collect()));
    let names: Vec<_> = (0..9).map(name).collect();
    assert_has(&texts(&svg), &names.iter().map(String::as_str).collect::<Vec<_>>());
}
