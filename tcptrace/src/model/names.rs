//! The external names of an enum's variants: in text, in JSON and in recordings.

/// Gives an enum its names, each defined in one place: `name` writes them and `from_name` reads
/// them.
macro_rules! names {
    ($enum:ident { $($variant:ident => $name:tt),+ $(,)? }) => {
        impl $enum {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its external name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }

            /// The variant with this name, if there is one.
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

/// The placeholder for an unknown name.
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
