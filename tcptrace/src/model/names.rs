//! What the variants of an enum are called on the outside: in text, in JSON and in recordings.

/// Gives an enum its names, each of which stands here alone: `name` for whoever writes them and
/// `from_name` for whoever reads them.
macro_rules! names {
    ($enum:ident { $($variant:ident => $name:tt),+ $(,)? }) => {
        impl $enum {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// What it is called on the outside.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The one that is called so, if there is one.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub(crate) use names;

/// What stands in place of a name where nothing is known.
pub const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use crate::model::socket::Role;

    #[test]
    fn names_are_read_as_they_are_written() {
        for role in Role::ALL {
            assert_eq!(Role::from_name(role.name()), Some(*role));
        }
        assert_eq!(Role::from_name("both"), None);
    }
}
