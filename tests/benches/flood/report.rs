//! Figures and findings of the measurements.

use siplb_figures::{Figure, Kind, Point, Report, Series, Spread};
use siplb_load::Account;

use crate::{
    kind::Flood,
    measure::Outcome,
    scene::{CALLS, RATE},
};

type All = [(Flood, Vec<Outcome>)];

/// All that was measured, as a report.
pub(crate) fn of(all: &All, rounds: usize) -> Report {
    let question = "How many calls come about while what nobody wants comes as fast as it can be made?";
    let mut report = Report::new("flood", question, rounds);
    report.method = method();
    report.figures = vec![completed(all), setup(all), sent(all), again(all), counted(all)];
    report.findings = findings(all);
    report
}

fn figure(name: &str, title: &str, unit: &str, log_y: bool, series: Vec<Series>) -> Figure {
    let (name, title, unit) = (name.to_owned(), title.to_owned(), unit.to_owned());
    Figure { name, title, unit, kind: Kind::Bars, log_y, series }
}

/// One value an outcome, against those without a flood.
fn series(all: &All, name: &str, value: impl Fn(&Outcome) -> f64) -> Series {
    let base: Vec<f64> = all[0].1.iter().map(&value).collect();
    let points = all.iter().map(|(flood, outcomes)| {
        let values: Vec<f64> = outcomes.iter().map(&value).collect();
        Point { ratio: Spread::of_ratios(&values, &base), ..Point::new(&flood.name(), Spread::of(&values)) }
    });
    Series { name: name.to_owned(), points: points.collect() }
}

fn completed(all: &All) -> Figure {
    let mut completed = series(all, "completed", Outcome::completed);
    for (point, (_, outcomes)) in completed.points.iter_mut().zip(all) {
        let busy: Vec<f64> = outcomes.iter().map(|outcome| outcome.others_busy * 100.0).collect();
        point.note = Some(format!("servers' CPU {:.0} % busy", Spread::of(&busy).median));
    }
    let title = format!("Calls completed of {CALLS}, {RATE} a second, against none flooding");
    figure("completed", &title, "%", false, vec![completed])
}

fn setup(all: &All) -> Figure {
    // A call that came about in no time that sipp can tell took less than a tick of its clock.
    let within = |part| move |outcome: &Outcome| outcome.setup_within(part).unwrap_or(f64::NAN).max(1.0);
    let is_timed =
        |(_, outcomes): &&(Flood, Vec<Outcome>)| outcomes.iter().all(|one| !one.setup_ms.is_empty());
    let has_times: Vec<_> = all.iter().filter(is_timed).cloned().collect();
    let both = if has_times.is_empty() {
        vec![]
    } else {
        vec![
            series(&has_times, "half of all within", within(0.5)),
            series(&has_times, "99 % within", within(0.99)),
        ]
    };
    figure("setup", "From the first INVITE to the 200, against none flooding", "ms", true, both)
}

fn sent(all: &All) -> Figure {
    let flooded = all.iter().filter(|(flood, _)| *flood != Flood::None);
    let points = flooded.map(|(flood, outcomes)| {
        let rates: Vec<f64> = outcomes.iter().map(|outcome| outcome.offered.per_second()).collect();
        let ring: Vec<f64> = outcomes.iter().map(|outcome| outcome.account("").ring_percent()).collect();
        let note = format!("{:.1} % found the node's ring full", Spread::of(&ring).median);
        Point { note: Some(note), ..Point::new(&flood.name(), Spread::of(&rates)) }
    });
    let series = Series { name: "sent".to_owned(), points: points.collect() };
    figure("sent", "What came beside the calls", "packets/s", true, vec![series])
}

fn again(all: &All) -> Figure {
    let a_hundred = |outcome: &Outcome| outcome.tally.sent_again as f64 * 100.0 / f64::from(CALLS);
    let mut series = series(all, "sent again", a_hundred);
    // Without a flood there is nothing sent again, and no ratio to that.
    series.points.iter_mut().for_each(|point| point.ratio = None);
    figure("again", "Messages that sipp sent again, for 100 calls", "messages", false, vec![series])
}

/// What siplb counted of the flood under its reason, and what never came to it.
fn counted(all: &All) -> Figure {
    let points = all.iter().filter_map(|(flood, outcomes)| {
        let (reason, is_drop) = flood.reason()?;
        let counts: Vec<f64> =
            outcomes.iter().map(|outcome| outcome.account(reason).seen_percent()).collect();
        let what = if is_drop { "dropped" } else { "forwarded, calls' own requests included" };
        let note = format!("{what}: {reason}");
        Some(Point { note: Some(note), ..Point::new(&flood.name(), Spread::of(&counts)) })
    });
    let series = Series { name: "counted".to_owned(), points: points.collect() };
    figure(
        "counted",
        "Counted by siplb under the flood's reason or by the ring as too much, of all sent",
        "%",
        false,
        vec![series],
    )
}

fn findings(all: &All) -> Vec<String> {
    let mut found = Vec::new();
    for (flood, outcomes) in all {
        let Some((reason, is_drop)) = flood.reason() else { continue };
        let mut sum = Account::default();
        outcomes.iter().for_each(|outcome| sum += outcome.account(reason));
        let Account { sent, counted, ring_full } = sum;
        let away: u64 = outcomes.iter().map(|outcome| outcome.turned_away).sum();
        if is_drop {
            let word = match sum.missing() {
                0 => "all is accounted for".to_owned(),
                missing => format!("{missing} are not accounted for"),
            };
            found.push(format!(
                "{}: {sent} sent, {counted} dropped as {reason}, {ring_full} found the node's ring full; {word}.",
                flood.name()
            ));
        } else if away > 0 {
            let not_found: u64 = outcomes.iter().map(|outcome| outcome.tally.count("not_found")).sum();
            let dead: u64 = outcomes.iter().map(|outcome| outcome.dead).sum();
            if not_found + dead > 0 {
                found.push(format!(
                    "{}: {not_found} calls were answered 404 and in {dead} cases a server counted as dead in the end: where checks \
                     find a socket full they stay unanswered, and the server's users go to one that doesn't know them.",
                    flood.name()
                ));
            }
            found.push(format!(
                "{}: {sent} sent, {ring_full} found the node's ring full, and {away} of what siplb forwarded found the servers' \
                 sockets full: the servers are what limits.",
                flood.name()
            ));
        }
    }
    found.push(
        "siplb has no limits of rates: what is a request for a user is forwarded, whoever sends it. What a server can't take, \
         it has to turn away itself."
            .to_owned(),
    );
    found.push(
        "Flood, siplb's program, servers and sipp share two CPUs: on one the flood is made and, as veth has it, mostly met by \
         the program; on the other is all else. With a card of its own the node would have both."
            .to_owned(),
    );
    found
}

fn method() -> Vec<String> {
    [
        "A client, a node with siplb and two Kamailio registrars (`tests/kamailio/registrar.cfg`, two children each), joined by \
         veth pairs. sipp calls 300 registered users, 100 a second, complete calls of INVITE, 200, ACK, BYE and 200, and sends \
         again what is not answered in half a second; after 6 seconds it gives up. sipp is also all phones. Every message goes \
         through siplb, those of dialogs too.",
        "Meanwhile the generator of `bench peers` sends to the VIP's port from the client's interface, from 0.3 seconds before \
         the first call to after the last one: random bytes (200), later fragments without a first, OPTIONS as scanners send \
         them, for random users, and REGISTERs of 20,000 random users, which is what the servers' memory holds. The latter two \
         are requests for users and are forwarded; so they come at some rates as well, up to more than the servers can take.",
        "As fast as can be is what one CPU makes: there the generator runs before everybody else, and veth lets siplb's program \
         run on the same CPU, except when a packet of a call has just woken it on the other one. While that is so, frames can \
         find the ring of 256 full, and `ethtool -S` counts them; those of calls are among those that can be lost there.",
        "Before each measurement it is waited, for 4 seconds at most, until nothing goes through siplb any more: telephones \
         send again what the last calls left unanswered. Then servers that counted as dead get their users back, and all 300 \
         register anew. The CPU of servers and sipp is what /proc/stat says of it.",
        "Times are sipp's, whose clock moves every 4 ms on a kernel of 250 Hz; 1 ms stands for what it can't tell from nothing.",
    ]
    .map(str::to_owned)
    .to_vec()
}
