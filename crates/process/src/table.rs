//! Which processes there are.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use uuid::Uuid;

use crate::Process;
use crate::group::Group;

/// Spawned processes, running and exited, and the groups of everything that runs.
#[derive(Debug, Default)]
pub(crate) struct Table {
    processes: HashMap<Uuid, Process>,
    /// In the order in which they exited.
    exited: VecDeque<Uuid>,
    /// By the number of the leader.
    running: HashMap<i32, Group>,
}

impl Table {
    pub(crate) fn started(&mut self, group: Group) {
        self.running
            .insert(group.leader().as_raw_nonzero().get(), group);
    }

    pub(crate) fn stopped(&mut self, group: &Group) {
        self.running.remove(&group.leader().as_raw_nonzero().get());
    }

    /// All groups whose leader runs.
    pub(crate) fn running(&self) -> Vec<Group> {
        self.running.values().cloned().collect()
    }

    pub(crate) fn insert(&mut self, process: Process) {
        self.processes.insert(process.id(), process);
    }

    /// Notes an exit, and forgets the oldest above `retained`.
    pub(crate) fn exited(&mut self, id: Uuid, retained: usize) {
        self.exited.push_back(id);
        while self.exited.len() > retained {
            self.forget_oldest();
        }
    }

    /// Forgets what ended longer than `age` ago.
    pub(crate) fn expire(&mut self, age: Duration) {
        let expired = |table: &Self| {
            let process = table.exited.front().and_then(|id| table.processes.get(id));
            process.is_some_and(|process| process.is_older_than(age))
        };
        while expired(self) {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some(id) = self.exited.pop_front() {
            self.processes.remove(&id);
        }
    }

    pub(crate) fn get(&self, id: Uuid) -> Option<&Process> {
        self.processes.get(&id)
    }

    /// The oldest first.
    pub(crate) fn list(&self) -> Vec<Process> {
        let mut all: Vec<Process> = self.processes.values().cloned().collect();
        all.sort_by_key(|process| (process.started_at(), process.pid()));
        all
    }
}
