//! What the descriptors of processes tell, read at each look, or less often where it takes long.

use std::{
    collections::HashMap,
    os::fd::AsFd as _,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    file,
    pass::{self, Missed, Pass},
    sets,
};
use crate::{model::cause::Interest, source::machine::process::started};

/// What takes longer is not read again for a while, so that most looks are short: 10 000 sockets of one process take
/// some 20 ms for its descriptors, and as much for connections.
pub const SLOW: Duration = Duration::from_millis(15);
/// Where all processes together have taken longer than that in a look, this is enough.
const SLOW_AMONG_MANY: Duration = Duration::from_millis(1);
/// The same for sets of `epoll`: while it writes of one, the kernel holds its lock, and the process that owns it waits.
const SLOW_SETS: Duration = Duration::from_millis(5);
/// That while.
pub const REST: Duration = Duration::from_secs(10);
/// For the same reason no sets are read of a process that has more descriptors.
const MOST_FOR_SETS: u64 = 50_000;

/// What is read about a process.
#[derive(Debug, Default)]
pub struct Table {
    /// What it has open.
    pub pass: Pass,
    /// What its sets wait for at sockets, by inode; `None` if one of them cannot be read.
    interest: Option<HashMap<u32, Interest>>,
}

impl Table {
    /// What its sets wait for at these sockets (inode and descriptor); `None` if it is not known of one of them, because
    /// that was not open when this was read.
    pub fn interest(&self, asked: &[(u32, u32)]) -> Option<HashMap<u32, Interest>> {
        let all = self.interest.as_ref()?;
        let is_known = |(inode, _): &(u32, u32)| self.pass.sockets.contains(inode);
        let of = |(inode, _): &(u32, u32)| Some((*inode, *all.get(inode)?));
        (asked.iter().all(is_known)).then(|| asked.iter().filter_map(of).collect())
    }
}

/// A table that took long.
#[derive(Debug)]
struct Kept {
    read: Instant,
    /// When the process started: its number may be another's by now.
    started: Option<u64>,
    table: Arc<Table>,
}

/// Tables of processes, those that took long for some time.
#[derive(Debug, Default)]
pub struct Tables {
    kept: HashMap<u32, Kept>,
    /// What tables have taken in this look.
    spent: Duration,
}

impl Tables {
    /// The one of a process (`folder`: where `/proc` tells about it) that has these sockets open. `left`: how many
    /// descriptors may still be looked at; `device`: that of sockets, if it is known.
    ///
    /// # Errors
    /// Says why not.
    pub fn of(
        &mut self,
        (pid, folder): (u32, &Path),
        sockets: &[(u32, u32)],
        left: &mut u64,
        device: Option<u32>,
    ) -> Result<Arc<Table>, Missed> {
        let is_same = |kept: &&Kept| kept.read.elapsed() < REST && kept.started == started(pid);
        if let Some(kept) = self.kept.get(&pid).filter(is_same) {
            return Ok(Arc::clone(&kept.table));
        }
        self.kept.remove(&pid);
        let began = Instant::now();
        let pass = pass::over(folder, sockets, left)?;
        let passed = Instant::now();
        let interest = device.and_then(|device| match pass.sets.as_slice() {
            [] => Some(HashMap::new()),
            _ if pass.open > MOST_FOR_SETS => None,
            sets => {
                let info = file::folder(&folder.join("fdinfo")).ok()?;
                sets::interest(info.as_fd(), sets, device)
            }
        });
        let table = Arc::new(Table { pass, interest });
        let took = began.elapsed();
        self.spent += took;
        let is_slow = self.spent > SLOW && took > SLOW_AMONG_MANY;
        if is_slow || passed.elapsed() > SLOW_SETS {
            let kept = Kept {
                read: Instant::now(),
                started: started(pid),
                table: Arc::clone(&table),
            };
            self.kept.insert(pid, kept);
        }
        Ok(table)
    }

    /// Begins a look: forgets what is too old.
    pub fn begin(&mut self) {
        self.kept.retain(|_, kept| kept.read.elapsed() < REST);
        self.spent = Duration::ZERO;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_not_there_makes_it_unknown() {
        let interest = Interest(0x19);
        let table = Table {
            pass: Pass {
                sockets: [7, 8].into(),
                ..Pass::default()
            },
            interest: Some(HashMap::from([(7, interest), (9, interest)])),
        };
        assert_eq!(
            table.interest(&[(7, 3), (8, 4)]),
            Some(HashMap::from([(7, interest)]))
        );
        assert_eq!(table.interest(&[(7, 3), (10, 4)]), None);
        assert_eq!(table.interest(&[]), Some(HashMap::new()));
        let unknown = Table {
            interest: None,
            ..table
        };
        assert_eq!(unknown.interest(&[(7, 3)]), None);
    }

    #[test]
    fn what_took_long_is_kept_while_the_process_runs() {
        let pid = std::process::id();
        let own = (pid, Path::new("/proc/self"));
        let table = Arc::new(Table::default());
        let kept = |read, started| Kept {
            read,
            started,
            table: Arc::clone(&table),
        };
        let mut tables = Tables::default();
        let mut again = |kept: Option<Kept>| {
            tables.kept.extend(kept.map(|kept| (pid, kept)));
            let found = tables.of(own, &[], &mut 100_000, None).expect("readable");
            Arc::ptr_eq(&found, &table)
        };
        let now = Instant::now();
        assert!(!again(None));
        assert!(again(Some(kept(now, started(pid)))));
        assert!(!again(Some(kept(now, Some(0)))));
        let long_ago = now.checked_sub(REST).map(|then| kept(then, started(pid)));
        assert!(!again(long_ago));
        tables.kept.insert(pid, kept(now, None));
        tables.begin();
        assert_eq!((tables.kept.len(), tables.spent), (1, Duration::ZERO));
    }

    #[test]
    fn without_the_device_of_sockets_sets_tell_nothing() {
        let own = (std::process::id(), Path::new("/proc/self"));
        let table = Tables::default()
            .of(own, &[], &mut 100_000, None)
            .expect("readable");
        assert_eq!(table.interest, None);
    }
}
