//! All that was measured. It is printed by `table` or `json` and judged by `limits`.

use crate::crowd::Crowd;
use crate::host::Host;
use crate::library::Library;
use crate::mounts::Mounts;
use crate::peer::Absent;
use crate::policy::Policy;
use crate::start::Starts;
use crate::system_calls::SystemCalls;
use crate::throughput::Rate;

pub(crate) struct Report {
    pub(crate) host: Host,
    pub(crate) absent: Vec<Absent>,
    /// One for each user; the first is the current one.
    pub(crate) starts: Vec<Starts>,
    pub(crate) rates: Vec<Rate>,
    pub(crate) mounts: Mounts,
    pub(crate) library: Library,
    pub(crate) policy: Policy,
    pub(crate) crowd: Crowd,
    pub(crate) calls: SystemCalls,
    /// What failed to run, with what it said.
    pub(crate) failures: Vec<String>,
}
