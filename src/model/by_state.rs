//! A map with one value for each state of export jobs.

use atlas_client::JobState;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ByState<T>([T; JobState::ALL.len()]);

impl<T> ByState<T> {
    /// Returns all states and values, in the order of the exposition.
    pub fn iter(&self) -> impl Iterator<Item = (JobState, &T)> {
        JobState::ALL.into_iter().zip(&self.0)
    }
}

impl<T> std::ops::Index<JobState> for ByState<T> {
    type Output = T;
    fn index(&self, state: JobState) -> &T {
        &self.0[state as usize]
    }
}

impl<T> std::ops::IndexMut<JobState> for ByState<T> {
    fn index_mut(&mut self, state: JobState) -> &mut T {
        &mut self.0[state as usize]
    }
}
