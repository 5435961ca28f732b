//! Colours, which a sink drops where they are not wanted.

use anstyle::{AnsiColor, Style};

/// Of headings.
pub const HEADING: Style = Style::new().bold();
/// Of warnings.
pub const WARNING: Style = AnsiColor::Yellow.on_default();
