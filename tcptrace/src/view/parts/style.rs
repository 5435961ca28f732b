//! Colours, which a sink drops if they are not wanted. None of them says anything that the text does not.

use anstyle::{AnsiColor, Style};

/// For headings.
pub const HEADING: Style = Style::new().bold();
/// For warnings, and for what is limited or not known.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// For a leak, and for what is full.
pub const BAD: Style = AnsiColor::Red.on_default();
/// For what is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// For what explains the line above it.
pub const BESIDE: Style = Style::new().dimmed();
