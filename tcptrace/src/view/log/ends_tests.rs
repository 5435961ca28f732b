use proptest::prelude::*;
use tcptrace_common::TcpState;

use super::*;
use crate::{
    fixtures::{end, holder},
    model::{owner::KnownBy, socket::Since, transition::StillOpen},
    view::{
        log::fixtures::{MONOTONIC_NS, owner, still_open},
        parts::style::HEADING,
    },
};

fn open(seconds: u64, role: Role, local: u16, remote: u16, opener: (u32, &str)) -> StillOpen {
    let mut open = still_open();
    let socket = &mut open.socket;
    socket.identity.role = role;
    socket.identity.local = end("127.0.0.1", local);
    socket.identity.remote = end("::ffff:127.0.0.1", remote);
    socket.since = Since::Exact(MONOTONIC_NS - seconds * 1_000_000_000);
    socket.set_owner(Some(owner(opener.0, opener.1)));
    socket.holders = Some(vec![holder(opener.0, opener.1, 5)]);
    open
}

/// The end of section 10 of the target screens.
fn story() -> OpenGroups {
    let mut all = OpenGroups::default();
    for number in 0..160 {
        let java = (17817, "java");
        all.add(&open(
            57 - u64::from(number / 3),
            Role::Server,
            8080,
            44850 + 2 * number,
            java,
        ));
    }
    for number in 0..80 {
        let mut held = open(
            26,
            Role::Server,
            8080,
            42986 + number,
            (18560, "forkinherit"),
        );
        let pid = 18702 + u32::from(number % 8);
        held.socket.holders = Some(vec![holder(pid, "sleep", 4)]);
        let mut user = owner(pid, "sleep");
        user.known_by = KnownBy::Fd;
        held.socket.user = Some(user);
        all.add(&held);
    }
    for number in 0..50 {
        let mut dead = open(26, Role::Client, 37102 + number, 8080, (16062, "python3"));
        dead.socket.state = TcpState::Close;
        dead.socket.holders = None;
        dead.residue_of = Some(TcpState::CloseWait);
        all.add(&dead);
    }
    all
}

fn text(open: &OpenGroups, list: List, page: &Page) -> String {
    lines(open, list, page, Style::new()).join("\n")
}

fn page(width: usize) -> Page {
    Page::UNLIMITED.with_width(Some(width))
}

#[test]
fn groups_come_first() {
    let all = [60, 80, 120, 200].map(|width| text(&story(), List::Few, &page(width)));
    insta::assert_snapshot!(all.join("\n----"));
}

#[test]
fn a_small_screen_has_groups_alone() {
    let small = Page {
        height: Some(12),
        ascii: true,
        ..page(60)
    };
    let text = text(&story(), List::Few, &small);
    assert!(!text.contains("oldest 3"), "{text}");
    assert!(text.lines().count() <= 7, "{text}");
}

#[test]
fn few_are_all_and_nothing_says_nothing() {
    let mut one = OpenGroups::default();
    assert_eq!(text(&one, List::Few, &page(80)), "");
    one.add(&open(5, Role::Client, 44850, 8080, (7, "curl")));
    let mut unknown = open(3, Role::Unknown, 44851, 8080, (7, "curl"));
    unknown.socket.set_owner(None);
    unknown.socket.holders = None;
    one.add(&unknown);
    insta::assert_snapshot!(text(&one, List::Few, &page(80)));
}

#[test]
fn a_list_of_all_is_above_the_groups() {
    let text = text(&story(), List::All, &page(80));
    assert!(text.starts_with("\nAll 290, the oldest first:\n"), "{text}");
    let groups = text.find("Still open: 240 in CLOSE_WAIT, 50 residue");
    assert_eq!(text[groups.expect("they are there")..].lines().count(), 6);
    assert_eq!(text.matches(" residue").count(), 52);
}

#[test]
fn many_groups_are_counted() {
    let mut many = OpenGroups::default();
    for pid in 1..=30 {
        many.add(&open(5, Role::Client, 4000, 8080, (pid, "curl")));
    }
    let text = text(&many, List::None, &page(80));
    assert!(text.ends_with("\n… 10 more groups of 10 sockets"), "{text}");
}

#[test]
fn namespaces_tell_groups_apart_that_read_the_same() {
    let mut two = OpenGroups::default();
    for netns in [4_026_531_833, 4_026_532_999] {
        let mut open = open(5, Role::Client, 4000, 8080, (7, "curl"));
        open.socket.identity.netns = Some(netns);
        two.add(&open);
    }
    let text = text(&two, List::None, &page(80));
    for netns in ["netns 4026531833", "netns 4026532999"] {
        assert_eq!(text.matches(netns).count(), 1, "{text}");
    }
}

#[test]
fn headings_are_bold() {
    let lines = lines(&story(), List::Few, &page(80), HEADING);
    let bold = |line: &&String| line.contains('\u{1b}');
    let bold: Vec<_> = lines.iter().filter(bold).map(|line| &line[..14]).collect();
    let expected =
        ["Still open", "SOCKETS  O", "AGE  OPENE"].map(|begin| format!("{HEADING}{begin}"));
    assert_eq!(bold, expected.each_ref().map(|line| &line[..14]));
}

proptest! {
    #[test]
    fn no_line_is_wider_and_no_port_is_cut(
        comm in "[a-z]{1,15}|[\\x01-\\x{ff}]{1,15}",
        user in "[a-z]{1,15}|[日本]{1,5}",
        remote in any::<u128>(),
        ports in (1_u16.., 1_u16..),
        pid: u32,
        role in 0_usize..3,
        width in 60_usize..200,
        ascii: bool,
    ) {
        let page = Page { ascii, ..page(width) };
        let role = [Role::Client, Role::Server, Role::Unknown][role];
        let mut one = open(5, role, ports.0, ports.1, (pid, &comm));
        one.socket.identity.remote.address = std::net::IpAddr::from(remote.to_be_bytes());
        one.socket.user = Some(owner(9, &user));
        let mut all = OpenGroups::default();
        all.add(&one);
        let lines = lines(&all, List::Few, &page, Style::new());
        for line in &lines {
            prop_assert!(line.width() <= width, "{lines:#?}");
        }
        let text = lines.join("\n");
        prop_assert!(!ascii || text.is_ascii());
        let (port, own, pid) = (format!("]:{}", ports.1), format!(":{} ", ports.0), format!("[{pid}]"));
        // Whole, or gone with the column.
        let has = |heading: &str| text.matches(heading).count() == 2;
        prop_assert!(has("CONNECTION") && text.contains(&port) && text.contains(&own), "{text}");
        prop_assert!(has("OPENER") == (text.matches(&pid).count() == 2), "{text}");
    }
}
