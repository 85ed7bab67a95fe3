//! The report: a figure for everything that there can be more of.

use std::collections::BTreeMap;

use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};

use crate::{
    findings,
    instance::Shape,
    memory::Memory,
    packets::{BACKENDS, BACKENDS_OF_VIPS, Case, LARGEST, Queues, USERS, USUAL, VIPS},
    table::{GROUPS, Took},
    traffic::{Message, Order},
};

/// Samples of every case, by round.
pub(crate) type Packets = BTreeMap<Case, Vec<f64>>;

/// What no configuration has.
const ONE_TABLE: &str = "INVITE, with one table for all VIPs";
const MIB: f64 = 1_048_576.0;
/// Maps that take less than this are added up.
const SMALL_MAP: u64 = 1 << 20;

pub(crate) fn of(
    rounds: usize,
    packets: &Packets,
    tables: &BTreeMap<usize, Vec<Took>>,
    memory: &Memory,
) -> Report {
    let question =
        "What grows when there are more backends, VIPs, users and receive queues, and when packets differ?";
    let mut report = Report::new(crate::BENCH, question, rounds);
    report.method = METHOD.iter().map(|text| (*text).to_owned()).collect();
    let by_backends = |message, backends| Case { shape: Shape::new(backends, 1), ..Case::usual(message) };
    let by_users = |message, users| Case { users, ..Case::usual(message) };
    let with_user = Message::ALL.into_iter().filter(|message| message.has_user());
    report.figures = vec![
        sweep(packets, ("backends", "backends", "behind one VIP"), Message::ALL, &BACKENDS, by_backends),
        vips(packets),
        sweep(packets, ("users", "users", "of 128 backends"), with_user, &USERS, by_users),
        repetition(packets),
        against_layer_4(packets),
        queues(packets),
        table(tables),
        maps(memory),
        daemon(memory),
    ];
    report.findings = findings::of(&report.figures);
    report
}

const METHOD: [&str; 5] = [
    "Nanoseconds a packet are the kernel's own, of 100,000 packets in one BPF_PROG_TEST_RUN on one CPU. A test run repeats one \
     frame, so the program writes another packet into it before each: one of so many users (eight random letters), one of so \
     many VIPs (for replies: backends), and one of a million clients with a port of 60,000. Afterwards the headers are put \
     back. What that takes by itself is measured beside each case in each round and is taken off. Every program was tried out \
     first: all packets were forwarded, for every VIP, to and from every backend.",
    "\"One packet repeated\" is the same program with one user, one VIP and one client. \"Caches cold\" reads 2 MiB of other \
     memory before each of 1,000 packets, four times the second-level cache; what counts then is the time between two \
     readings of the clock around the program alone, less that around nothing. The first lines of the frame are near even \
     then, as a driver leaves them. It is the most that a packet can cost which comes alone; packets that come in batches \
     are nearer to \"random\". What branches were predicted by is not put out: all messages of a case have one form.",
    "Unless something else is said there are 128 backends behind one VIP and 1 million users. Each backend is a group of its own, \
     each VIP has a pool and a table of its own, as the configuration demands. \"One table for all VIPs\" is what no configuration \
     has, and shows what the tables' size costs. All backends are reached by one next hop that user \
     space resolved; the way of replies is looked up in the kernel's routes.",
    "Two queues are two test runs at one time, each held to a CPU. \"Sharing nothing\" they have an instance each, with maps of its \
     own, so that what the two CPUs share is the machine's; \"as siplb has them\" they run one program on one set of maps. A \
     network card and its driver share more than that, which is not measured here.",
    "Tables are dealt in the benchmark's own process, by the daemon's code. Memory of maps is the kernel's account of those that a \
     real daemon has pinned; most is taken for what `[limits]` permits, whether it is used or not. Memory of the daemon is what is \
     resident 35 s after its start, when the last 32 checks of each backend are known; nobody answers them.",
];

/// A figure of messages over numbers, against the least of these.
fn sweep(
    packets: &Packets,
    (name, x, setting): (&str, &str, &str),
    messages: impl IntoIterator<Item = Message>,
    numbers: &[u32],
    case: impl Fn(Message, u32) -> Case,
) -> Figure {
    let of_message =
        |message: Message| line(packets, message.name(), numbers, |number| case(message, number));
    Figure {
        name: name.to_owned(),
        title: format!("A packet of random traffic, by {x} ({setting}); the ratio is to the fewest"),
        unit: "ns".to_owned(),
        kind: Kind::Lines { x: x.to_owned(), log_x: true },
        log_y: false,
        series: messages.into_iter().map(of_message).collect(),
    }
}

/// The cases of one line of a figure.
fn line(packets: &Packets, name: &str, numbers: &[u32], case: impl Fn(u32) -> Case) -> Series {
    let base = &packets[&case(numbers[0])];
    let point = |number: &u32| {
        let samples = &packets[&case(*number)];
        let ratio = Spread::of_ratios(samples, base);
        Point { x: Some(f64::from(*number)), ratio, ..Point::new(&grouped(*number), Spread::of(samples)) }
    };
    Series { name: name.to_owned(), points: numbers.iter().map(point).collect() }
}

fn vips(packets: &Packets) -> Figure {
    let by_vips = |message, vips| Case { shape: Shape::new(BACKENDS_OF_VIPS, vips), ..Case::usual(message) };
    let setting = ("vips", "VIPs", "with 1,024 backends in all");
    let mut figure = sweep(packets, setting, Message::ALL, &VIPS, by_vips);
    figure.series.push(line(packets, ONE_TABLE, &VIPS, Case::one_table));
    figure
}

/// How much there is, as a label says it.
fn extent(shape: Shape) -> String {
    let vips = if shape.vips == 1 { "1 VIP".to_owned() } else { format!("{} VIPs", grouped(shape.vips)) };
    format!("{} backends, {vips}", grouped(shape.backends))
}

fn repetition(packets: &Packets) -> Figure {
    let of_order = |order: Order| {
        let mut points = Vec::new();
        for (message, shape) in messages_and_shapes() {
            let case = Case { shape, order, ..Case::usual(message) };
            let base = &packets[&Case { order: Order::Repeated, ..case }];
            let samples = &packets[&case];
            let label = format!("{}; {}", message.name(), extent(shape));
            points.push(Point {
                ratio: Spread::of_ratios(samples, base),
                ..Point::new(&label, Spread::of(samples))
            });
        }
        Series { name: order.name().to_owned(), points }
    };
    Figure {
        name: "repetition".to_owned(),
        title: "What one packet repeated hides; the ratio is to that".to_owned(),
        unit: "ns".to_owned(),
        kind: Kind::Bars,
        log_y: false,
        series: Order::ALL.into_iter().map(of_order).collect(),
    }
}

fn against_layer_4(packets: &Packets) -> Figure {
    let of_order = |order: Order| {
        let mut points = Vec::new();
        for (message, shape) in messages_and_shapes() {
            let case = Case { shape, order, ..Case::usual(message) };
            let base = &packets[&Case::layer_4(order, shape)];
            let samples = &packets[&case];
            let label = format!("{}; {}", message.name(), extent(shape));
            let note = Some(format!("plain L4: {:.0} ns", Spread::of(base).median));
            let ratio = Spread::of_ratios(samples, base);
            points.push(Point { ratio, note, ..Point::new(&label, Spread::of(samples)) });
        }
        Series { name: order.name().to_owned(), points }
    };
    Figure {
        name: "layer-4".to_owned(),
        title: "Against a plain layer 4 balancer of requests under the same traffic; the ratio is to that"
            .to_owned(),
        unit: "ns".to_owned(),
        kind: Kind::Bars,
        log_y: false,
        series: Order::ALL.into_iter().map(of_order).collect(),
    }
}

fn messages_and_shapes() -> impl Iterator<Item = (Message, Shape)> {
    [USUAL, LARGEST].into_iter().flat_map(|shape| Message::ALL.map(|message| (message, shape)))
}

fn queues(packets: &Packets) -> Figure {
    let of_queues = |queues: Queues| {
        let point = |message: Message| {
            let case = Case { queues, ..Case::usual(message) };
            let samples = &packets[&case];
            let ratio = Spread::of_ratios(samples, &packets[&Case { queues: Queues::One, ..case }]);
            Point { ratio, ..Point::new(message.name(), Spread::of(samples)) }
        };
        Series { name: queues.name().to_owned(), points: Message::ALL.map(point).into() }
    };
    Figure {
        name: "queues".to_owned(),
        title: "A packet of one of two queues at one time; the ratio is to one alone".to_owned(),
        unit: "ns".to_owned(),
        kind: Kind::Bars,
        log_y: false,
        series: Queues::ALL.into_iter().map(of_queues).collect(),
    }
}

fn table(tables: &BTreeMap<usize, Vec<Took>>) -> Figure {
    let series = |name: &str, numbers: &[usize], of: fn(&Took) -> f64| {
        let samples = |groups: usize| tables[&groups].iter().map(of).collect::<Vec<f64>>();
        let base = samples(numbers[0]);
        let point = |groups: &usize| {
            let samples = samples(*groups);
            let ratio = Spread::of_ratios(&samples, &base);
            let label = grouped(*groups as u32);
            Point { x: Some(*groups as f64), ratio, ..Point::new(&label, Spread::of(&samples)) }
        };
        Series { name: name.to_owned(), points: numbers.iter().map(point).collect() }
    };
    Figure {
        name: "table".to_owned(),
        title: "Dealing a pool's table, by groups; the ratio is to the fewest".to_owned(),
        unit: "ms".to_owned(),
        kind: Kind::Lines { x: "groups".to_owned(), log_x: true },
        log_y: true,
        series: vec![
            series("a table dealt anew", &GROUPS, |took| took.dealt),
            // One group alone has nobody to give them to.
            series("the slots of one group given away", &GROUPS[1..], |took| took.given_away),
        ],
    }
}

fn maps(memory: &Memory) -> Figure {
    let series = |name: &str, maps: &BTreeMap<&'static str, u64>| {
        let all: u64 = maps.values().sum();
        let is_small = |name: &str| memory.maps[name].max(memory.maps_at_most[name]) < SMALL_MAP;
        let rest: u64 = maps.iter().filter(|(name, _)| is_small(name)).map(|(_, bytes)| bytes).sum();
        let large = maps.iter().filter(|(name, _)| !is_small(name)).map(|(name, bytes)| (*name, *bytes));
        let point = |(name, bytes): (&str, u64)| Point::new(name, Spread::exactly(bytes as f64 / MIB));
        let points = large.chain([("the others", rest), ("all of them", all)]).map(point).collect();
        Series { name: name.to_owned(), points }
    };
    Figure {
        name: "maps".to_owned(),
        title: "Memory of the maps".to_owned(),
        unit: "MiB".to_owned(),
        kind: Kind::Bars,
        log_y: false,
        series: vec![
            series("limits as they are by default", &memory.maps),
            series("room for 1,024 VIPs and pools", &memory.maps_at_most),
        ],
    }
}

fn daemon(memory: &Memory) -> Figure {
    let first = memory.resident.first().map_or(1.0, |(_, bytes)| *bytes as f64);
    let point = |(backends, bytes): &(usize, u64)| Point {
        x: Some(*backends as f64),
        ratio: Some(Spread::exactly(*bytes as f64 / first)),
        ..Point::new(&grouped(*backends as u32), Spread::exactly(*bytes as f64 / MIB))
    };
    Figure {
        name: "daemon".to_owned(),
        title: "Resident memory of the daemon, by backends; the ratio is to the fewest".to_owned(),
        unit: "MiB".to_owned(),
        kind: Kind::Lines { x: "backends".to_owned(), log_x: true },
        log_y: false,
        series: vec![Series {
            name: "siplb run".to_owned(),
            points: memory.resident.iter().map(point).collect(),
        }],
    }
}

/// 4096 as 4,096.
fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}
