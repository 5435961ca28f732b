//! Filters: for sockets from before the start, and for later ones, which the kernel side filters.

use anyhow::{Context, Result};
use testbed::{Family, Role, Stage, Truth};

use crate::{
    harness::{
        case::Cases,
        place::{BOTH, Place},
        tolerance::let_them_age,
    },
    run::tool::Tool,
    stuck::check::{self, Age},
};

pub fn add(cases: &mut Cases) {
    cases
        .add_in(BOTH, "filters", |place| filters(place, in_the_kernel))
        .here();
    cases
        .add("filters_by_process", || {
            filters(Place::Btf, |words| !in_the_kernel(words))
        })
        .here();
    cases.add("filter_netns", one_namespace_of_two);
    cases.add("without_a_filter", all_namespaces);
}

/// Two sockets of each kind: server leak over IPv4, client leak over IPv6, never accepted v4-mapped.
fn mixture(stage: &mut Stage) -> Result<Vec<Truth>> {
    let leaks = [
        stage.server_leak(Family::Ipv4, 2)?,
        stage.client_leak(Family::Ipv6, 2)?,
        stage.never_accepted(Family::Mapped, 2)?,
    ];
    Ok(leaks.concat())
}

/// Options, and which sockets the tool must show with them.
type Filter = (Vec<String>, Box<dyn Fn(&Truth) -> bool>);

fn all_filters(stage: &Stage) -> Vec<Filter> {
    let mut filters: Vec<Filter> = Vec::new();
    let mut add = |words: &str, fits: Box<dyn Fn(&Truth) -> bool>| {
        filters.push((words.split(' ').map(String::from).collect(), fits));
    };
    let (server, client) = (stage.server.pid(), stage.client.pid());
    let of_server = |truth: &Truth| truth.role == Role::Server;
    add("--family ipv4", Box::new(|truth| truth.local.is_ipv4()));
    add("--family ipv6", Box::new(|truth| truth.local.is_ipv6()));
    add(&format!("--pid {server}"), Box::new(of_server));
    add(
        &format!("--pid {client}"),
        Box::new(move |truth| !of_server(truth)),
    );
    add(
        &format!("--pid {client} --pid {server}"),
        Box::new(|_| true),
    );
    add(
        "--comm leaky-client",
        Box::new(move |truth| !of_server(truth)),
    );
    let port = stage.listener(Family::Ipv4).local.port();
    add(
        &format!("--port {port}"),
        Box::new(move |truth| truth.local.port() == port),
    );
    let port = stage.listener(Family::Ipv6).local.port();
    add(
        &format!("--port {port}"),
        Box::new(move |truth| truth.remote.port() == port),
    );
    add(&format!("--port {port} --family ipv4"), Box::new(|_| false));
    // A range of IPv4 addresses includes their v4-mapped forms.
    add(
        "--remote 127.0.0.0/8",
        Box::new(|truth| truth.remote.ip().to_canonical().is_ipv4()),
    );
    add(
        "--remote ::1",
        Box::new(|truth| truth.remote.ip() == Family::Ipv6.loopback()),
    );
    add("--remote 10.0.0.0/8", Box::new(|_| false));
    filters
}

/// Whether the kernel side alone applies such a filter.
fn in_the_kernel(words: &[String]) -> bool {
    let kernels = ["--family", "--port", "--remote"];
    kernels.contains(&&*words[0]) && words.len() == 2
}

fn filters(place: Place, wanted: fn(&[String]) -> bool) -> Result<()> {
    let mut stage = Stage::new()?;
    let before = mixture(&mut stage)?;
    let_them_age();
    let mut filters = all_filters(&stage);
    filters.retain(|(words, _)| wanted(words));
    let mut tools = Vec::new();
    for (words, fits) in &filters {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        let mut tool = Tool::watch(place, stage.netns().inode(), &words)?;
        let before: Vec<_> = before.iter().filter(|truth| fits(truth)).cloned().collect();
        check::exactly(&tool.fresh()?, &[(&before, Age::AtLeast)])
            .with_context(|| format!("{words:?}"))?;
        tools.push((tool, before));
    }
    let after = mixture(&mut stage)?;
    for ((words, fits), (mut tool, before)) in filters.iter().zip(tools) {
        let after: Vec<_> = after.iter().filter(|truth| fits(truth)).cloned().collect();
        let both = [(&before[..], Age::AtLeast), (&after[..], Age::Exact)];
        check::exactly(&tool.fresh()?, &both).with_context(|| format!("{words:?}"))?;
        tool.end()?;
    }
    Ok(())
}

fn one_namespace_of_two() -> Result<()> {
    let (mut one, mut two) = (Stage::new()?, Stage::new()?);
    let (of_one, of_two) = (mixture(&mut one)?, mixture(&mut two)?);
    let_them_age();
    let snapshot = Tool::look(Place::Btf, one.netns().inode(), &[])?;
    check::exactly(&snapshot, &[(&of_one, Age::AtLeast)])?;
    let snapshot = Tool::look(Place::Btf, two.netns().inode(), &[])?;
    check::exactly(&snapshot, &[(&of_two, Age::AtLeast)])
}

/// Without a filter the tool looks at every namespace of the machine: these two and all others.
fn all_namespaces() -> Result<()> {
    let (mut one, mut two) = (Stage::new()?, Stage::new()?);
    let mut truths = mixture(&mut one)?;
    let arguments = [
        "stuck",
        "--json",
        "--older-than",
        "0s",
        "--interval",
        "200ms",
    ];
    let mut tool = Tool::start(Place::AsIs, &arguments)?;
    tool.fresh()?;
    truths.extend(mixture(&mut two)?);
    let snapshot = tool.fresh()?;
    for truth in &truths {
        let tuple = (Some(truth.local), Some(truth.remote));
        let mut found = snapshot.sockets.iter().filter(|socket| {
            let here = [one.netns().inode(), two.netns().inode()]
                .map(Some)
                .contains(&socket.netns);
            here && (socket.local.socket_addr(), socket.remote.socket_addr()) == tuple
        });
        found
            .next()
            .with_context(|| format!("not seen: {truth:?}"))?;
    }
    tool.end()?;
    Ok(())
}
