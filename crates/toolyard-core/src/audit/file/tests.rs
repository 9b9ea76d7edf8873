use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use toolyard_policy::{Access, Effect, Outcome, PathResource, Resource};

use super::{
    FileSink, FileSinkConfig,
    disk::{Disk, Opened, Sheet},
};
use crate::audit::{AuditSink, Finish, Intent, Refusal};

const DAY: u64 = 86_400_000;

fn intent<'a>(call: u64, effect: Effect, accesses: &'a [Access]) -> Intent<'a> {
    Intent {
        call,
        principal: "local",
        request: "7",
        tool: "fs_write",
        effect: Some(effect),
        accesses,
        decision: Outcome::Allow,
        rule: "allow write",
        origin: None,
        detail: None,
    }
}

fn write(sink: &FileSink, call: u64) -> Result<(), String> {
    sink.intent(&intent(call, Effect::Write, &[])).map_err(|error| error.to_string())
}

fn read(sink: &FileSink, call: u64) -> Result<(), String> {
    sink.intent(&intent(call, Effect::Read, &[])).map_err(|error| error.to_string())
}

fn lines(directory: &std::path::Path) -> Vec<Value> {
    let Ok(mut files) = std::fs::read_dir(directory) else { return Vec::new() };
    let Some(Ok(file)) = files.next() else { return Vec::new() };
    parsed(&std::fs::read_to_string(file.path()).unwrap_or_default())
}

fn parsed(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or(Value::Null)).collect()
}

#[tokio::test]
async fn a_writes_intent_is_in_the_file_before_it_runs_and_durable_when_told_so() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let sink = FileSink::new(FileSinkConfig { directory: state.path().join("audit"), sync: true });
    let path = PathResource { directory: "/p".into(), path: "a\n\"b".into(), requested: None };
    let accesses = [Access { effect: Effect::Write, resource: Resource::Path(path) }];
    sink.intent(&intent(1, Effect::Write, &accesses)).expect("the intent is written");
    let written = lines(&state.path().join("audit"));
    assert_eq!(written.len(), 1);
    assert_eq!(written[0]["accesses"], json!(["write /p/a\n\"b"]));
    assert_eq!(written[0]["decision"], "allow");
    sink.durable().await.expect("the intent is synced");
    sink.finish(&Finish { call: 1, result: "ok", approval: None, micros: 5, bytes: 9 }).expect("the outcome is written");
    drop(sink);
    let written = lines(&state.path().join("audit"));
    assert_eq!((&written[1]["event"], &written[1]["call"], &written[1]["bytes"]), (&json!("finish"), &json!(1), &json!(9)));
}

#[test]
fn reads_reach_the_file_within_a_tenth_of_a_second_and_nothing_is_made_before_them() {
    let state = tempfile::tempdir().expect("a temporary directory");
    let directory = state.path().join("audit");
    let sink = FileSink::new(FileSinkConfig { directory: directory.clone(), sync: true });
    assert!(!directory.exists());
    for call in 1..=2 {
        read(&sink, call).expect("the intent is taken");
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(lines(&directory).len() as u64, call);
    }
}

#[test]
fn what_a_transport_turned_away_is_in_the_trail_with_how_often() {
    let home = tempfile::tempdir().expect("a directory");
    let sink = FileSink::new(FileSinkConfig { directory: home.path().to_owned(), sync: true });
    let refusal = Refusal { principal: None, request: "r-1", reason: "invalid_token", detail: "the token has expired", count: 7 };
    sink.refused(&refusal).expect("it is buffered");
    sink.refused(&Refusal { principal: Some("token:ci"), detail: "", count: 1, reason: "rate", request: "" }).expect("it is buffered");
    sink.flush().expect("it is written");
    let lines = lines(home.path());
    let part = |line: &Value| ["event", "principal", "request", "reason", "detail", "count"].map(|key| line[key].clone());
    let expected =
        json!([["refusal", null, "r-1", "invalid_token", "the token has expired", 7], ["refusal", "token:ci", "", "rate", "", 1]]);
    assert_eq!(json!([part(&lines[0]), part(&lines[1])]), expected);
}

#[test]
fn a_trail_that_cant_be_written_refuses_the_intent_of_a_write() {
    let sink = FileSink::new(FileSinkConfig { directory: "/proc/nowhere/audit".into(), sync: true });
    let refused = write(&sink, 1).err().unwrap_or_default();
    assert!(refused.starts_with("the audit trail can't be written"), "{refused}");
}

#[test]
fn records_of_one_sink_share_a_random_run() {
    let runs = [(); 2].map(|()| {
        let disk = Paper::default();
        let sink = disk.sink();
        write(&sink, 1).expect("the intent is written");
        write(&sink, 2).expect("the intent is written");
        let written = disk.lines(0);
        assert_eq!(written[0]["run"], written[1]["run"]);
        assert_eq!(written[0]["pid"], std::process::id());
        written[0]["run"].as_str().unwrap_or_default().to_owned()
    });
    assert!(runs.iter().all(|run| run.len() == 8 && run.bytes().all(|b| b.is_ascii_hexdigit())), "{runs:?}");
    assert_ne!(runs[0], runs[1]);
}

#[tokio::test]
async fn at_midnight_both_files_and_their_directory_are_synced() {
    let disk = Paper::default();
    let sink = disk.sink();
    disk.hold_syncs();
    write(&sink, 1).expect("the intent is written");
    disk.wait_for_sync();
    // While the thread syncs the first, the second is written on the same day, the third on the next.
    write(&sink, 2).expect("the intent is written");
    disk.now.store(DAY, Ordering::Relaxed);
    write(&sink, 3).expect("the intent is written");
    disk.release_syncs();
    sink.durable().await.expect("all are synced");
    let mut synced = disk.synced();
    let first: Vec<_> = synced.drain(..2).collect();
    assert_eq!(first, ["directory", "0"]);
    synced.sort();
    assert_eq!(synced, ["0", "1", "directory"]);
}

#[tokio::test]
async fn a_failed_sync_fails_those_who_waited_for_it_and_nobody_else() {
    let disk = Paper::default();
    let sink = disk.sink();
    write(&sink, 1).expect("the intent is written");
    sink.durable().await.expect("the first is synced");
    disk.state().sync_failures = 1;
    write(&sink, 2).expect("the intent is written");
    let failed = sink.durable();
    let mut synced = sink.shared.synced.subscribe();
    synced.wait_for(|synced| synced.upto == 2).await.expect("the thread runs");
    write(&sink, 3).expect("the intent is written");
    sink.durable().await.expect("the third is synced");
    // Asked late, the second still failed.
    let error = failed.await.expect_err("its sync failed");
    assert_eq!(error.to_string(), "the audit trail can't be written: no sync");
}

#[test]
fn a_refused_intent_never_gets_into_the_trail_and_a_cut_line_spoils_no_other() {
    let disk = Paper::default();
    let sink = disk.sink();
    write(&sink, 1).expect("the intent is written");
    for (call, room) in [(2, 0), (3, 40)] {
        disk.state().room = Some(room);
        assert_eq!(write(&sink, call), Err("the audit trail can't be written: full".into()));
    }
    disk.state().room = None;
    write(&sink, 4).expect("the intent is written");
    drop(sink);
    let calls: Vec<_> = disk.lines(0).iter().map(|line| line["call"].clone()).collect();
    assert_eq!(calls, [json!(1), Value::Null, json!(4)], "the cut line is no record");
}

#[test]
fn reads_that_could_not_be_written_are_written_later_and_in_order() {
    let disk = Paper::default();
    let sink = disk.sink();
    disk.state().room = Some(40);
    read(&sink, 1).expect("the intent is taken");
    read(&sink, 2).expect("the intent is taken");
    assert!(write(&sink, 3).is_err());
    disk.state().room = None;
    read(&sink, 4).expect("the intent is taken");
    drop(sink);
    let calls: Vec<_> = disk.lines(0).iter().map(|line| line["call"].clone()).collect();
    assert_eq!(calls, [Value::Null, json!(1), json!(2), json!(4)]);
}

#[test]
fn reads_do_not_wait_for_a_slow_disk() {
    let disk = Paper::default();
    let sink = disk.sink();
    disk.state().slow = Duration::from_millis(400);
    read(&sink, 1).expect("the intent is taken");
    std::thread::sleep(Duration::from_millis(100));
    let started = Instant::now();
    for call in 2..100 {
        read(&sink, call).expect("the intent is taken");
    }
    assert!(started.elapsed() < Duration::from_millis(100), "{:?}", started.elapsed());
    disk.state().slow = Duration::ZERO;
    drop(sink);
    let calls: Vec<_> = disk.lines(0).iter().filter_map(|line| line["call"].as_u64()).collect();
    assert_eq!(calls, (1..100).collect::<Vec<_>>());
}

/// A disk that does as it is told.
#[derive(Clone, Debug, Default)]
struct Paper {
    now: Arc<AtomicU64>,
    state: Arc<Mutex<PaperState>>,
}

#[derive(Debug, Default)]
struct PaperState {
    files: BTreeMap<u64, Vec<u8>>,
    room: Option<usize>,
    slow: Duration,
    synced: Vec<String>,
    sync_failures: usize,
    /// Tells that a sync began, and waits until it may go on.
    held: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
    began: Option<mpsc::Receiver<()>>,
    go_on: Option<mpsc::Sender<()>>,
}

#[derive(Debug)]
struct Page {
    paper: Paper,
    /// The day of a file; none for the directory.
    day: Option<u64>,
}

impl Paper {
    fn sink(&self) -> FileSink {
        FileSink::on(Box::new(self.clone()), true)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, PaperState> {
        self.state.lock().expect("no test panicked")
    }

    fn lines(&self, day: u64) -> Vec<Value> {
        self.state().files.get(&day).map(|bytes| parsed(&String::from_utf8_lossy(bytes))).unwrap_or_default()
    }

    fn synced(&self) -> Vec<String> {
        self.state().synced.clone()
    }

    fn hold_syncs(&self) {
        let ((begin, began), (go_on, wait)) = (mpsc::channel(), mpsc::channel());
        let mut state = self.state();
        state.held = Some((begin, wait));
        (state.began, state.go_on) = (Some(began), Some(go_on));
    }

    fn wait_for_sync(&self) {
        let began = self.state().began.take().expect("syncs are held");
        began.recv().expect("a sync begins");
    }

    fn release_syncs(&self) {
        drop(self.state().go_on.take());
    }
}

impl Disk for Paper {
    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn open(&self, _: &str) -> io::Result<Opened> {
        let day = self.now() / DAY;
        let new = self.state().files.insert(day, Vec::new()).is_none();
        let page = |day| Arc::new(Page { paper: self.clone(), day }) as Arc<dyn Sheet>;
        Ok(Opened { file: page(Some(day)), changed: if new { vec![page(None)] } else { Vec::new() } })
    }
}

impl Sheet for Page {
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        let slow = self.paper.state().slow;
        std::thread::sleep(slow);
        let mut state = self.paper.state();
        let taken = state.room.map_or(bytes.len(), |room| room.min(bytes.len()));
        if taken == 0 {
            return Err(io::Error::other("full"));
        }
        if let Some(room) = &mut state.room {
            *room -= taken;
        }
        let day = self.day.expect("nothing is written to the directory");
        state.files.entry(day).or_default().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn sync(&self) -> io::Result<()> {
        let held = self.paper.state().held.take();
        if let Some((begin, wait)) = held {
            begin.send(()).expect("the test waits");
            assert_eq!(wait.recv(), Err(mpsc::RecvError), "the test lets it go on");
        }
        let mut state = self.paper.state();
        if state.sync_failures > 0 {
            state.sync_failures -= 1;
            return Err(io::Error::other("no sync"));
        }
        state.synced.push(self.day.map_or_else(|| "directory".to_owned(), |day| day.to_string()));
        Ok(())
    }
}
