//! Lists in which the kernel side only looks up whether a key is present.

use aya::{Ebpf, Pod, maps::HashMap, programs::ProgramError};

/// Adds the keys to the list of this name.
///
/// # Errors
/// When the kernel refuses.
pub fn add_to_list<K: Pod>(
    ebpf: &mut Ebpf,
    list: &str,
    keys: impl IntoIterator<Item = K>,
) -> Result<(), ProgramError> {
    let map = ebpf.map_mut(list).ok_or(ProgramError::NotLoaded)?;
    let mut map: HashMap<_, K, u32> = HashMap::try_from(map)?;
    for key in keys {
        map.insert(key, 1, 0)?;
    }
    Ok(())
}
