//! Colours, which a sink drops if they are not wanted.

use anstyle::{AnsiColor, Style};

/// For headings.
pub const HEADING: Style = Style::new().bold();
/// For warnings.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
/// For what explains the line above it.
pub const BESIDE: Style = Style::new().dimmed();
