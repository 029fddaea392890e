use std::fs::{self, Permissions};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};

use rustix::fs::mkfifoat;
use tempfile::TempDir;

use super::*;
use crate::{Action, Profile, Rule, compile};

/// A filter that was found, or compiled and kept.
struct Got {
    program: BpfProgram,
    found: bool,
    problem: Option<CacheProblem>,
}

struct Place {
    _parent: TempDir,
    cache: Cache,
}

impl Place {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let cache = Cache::new(parent.path().join("filters"));
        Self { _parent: parent, cache }
    }

    fn get(&self, call: &str) -> Got {
        let key = key(call);
        let found = self.cache.find(&key);
        if let Ok(Some(program)) = found {
            return Got { program, found: true, problem: None };
        }
        let program = compile(&profile(call)).unwrap();
        let kept = self.cache.keep(&key, &program);
        Got { program, found: false, problem: found.err().or(kept.err()) }
    }

    /// The directory with one entry, and that.
    fn filled() -> (Self, PathBuf) {
        let place = Self::new();
        assert!(!place.get("ptrace").found);
        let [entry] = <[_; 1]>::try_from(place.entries()).unwrap();
        (place, entry)
    }

    fn entries(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.cache.directory).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect()
    }

    /// The entry is not used, because of `reason`; then what is right is there again, or not, if the
    /// directory is not ours.
    fn distrusts(&self, reason: &str, again: bool) {
        let cached = self.get("ptrace");
        assert!(!cached.found);
        assert_eq!(cached.program, compile(&profile("ptrace")).unwrap());
        let problem = cached.problem.unwrap().to_string();
        assert!(problem.contains(reason), "{problem}");
        assert_eq!(self.get("ptrace").found, again);
    }
}

fn key(source: &str) -> CacheKey {
    let mut key = CacheKey::new().unwrap();
    key.extend(source.bytes());
    key
}

fn profile(call: &str) -> Profile {
    let mut profile = Profile::new(Action::Allow);
    profile.rules = vec![Rule::new([call], Action::Errno(1))];
    profile
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn finds_what_it_kept() {
    let place = Place::new();
    for found in [false, true, true] {
        for call in ["ptrace", "mount"] {
            let cached = place.get(call);
            assert_eq!((cached.found, cached.problem.is_none()), (found, true));
            assert_eq!(cached.program, compile(&profile(call)).unwrap());
        }
    }
    let modes = |path: &PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(place.entries().iter().map(modes).collect::<Vec<_>>(), [0o600; 2]);
    assert_eq!(modes(&place.cache.directory), 0o700);
}

#[test]
fn makes_no_place_for_itself() {
    let parent = tempfile::tempdir().unwrap();
    let cache = Cache::new(parent.path().join("missing/filters"));
    let key = key("ptrace");
    assert!(cache.find(&key).unwrap().is_none());
    let problem = cache.keep(&key, &compile(&profile("ptrace")).unwrap()).unwrap_err();
    assert!(problem.to_string().contains("is not kept: No such file"), "{problem}");
}

#[test]
fn keeps_nothing_that_is_huge() {
    let place = Place::new();
    let key = key(&"x".repeat(LONGEST_KEY));
    place.cache.keep(&key, &compile(&profile("ptrace")).unwrap()).unwrap();
    assert!(place.cache.find(&key).unwrap().is_none() && !place.cache.directory.exists());
}

#[test]
fn compiles_what_only_seems_the_same() {
    let (place, entry) = Place::filled();
    let kept = fs::read(&entry).unwrap();
    let program = compile(&profile("ptrace")).unwrap().as_bytes().len();
    for damage in [
        |bytes: &mut Vec<u8>, _| bytes.truncate(0),
        |bytes: &mut Vec<u8>, _| bytes.truncate(3),
        // Half an instruction; none; one too many for the kernel.
        |bytes: &mut Vec<u8>, _| bytes.truncate(bytes.len() - 4),
        |bytes: &mut Vec<u8>, program| bytes.truncate(bytes.len() - program),
        |bytes: &mut Vec<u8>, _| bytes.extend([6, 0, 0, 0, 0, 0, 0, 0].repeat(BpfProgram::MAX_LEN)),
        // The program no longer returns; it begins otherwise, as after a power cut.
        |bytes: &mut Vec<u8>, _| bytes.truncate(bytes.len() - 8),
        |bytes: &mut Vec<u8>, program| {
            let begin = bytes.len() - program;
            bytes[begin..begin + 8].fill(0);
        },
        // Another version of the program, and another profile.
        |bytes: &mut Vec<u8>, _| bytes[24] ^= 1,
        |bytes: &mut Vec<u8>, program| {
            let last = bytes.len() - program - size_of::<Checksum>() - 1;
            bytes[last] ^= 1;
        },
    ] {
        let mut bytes = kept.clone();
        damage(&mut bytes, program);
        fs::write(&entry, &bytes).unwrap();
        let cached = place.get("ptrace");
        assert_eq!((cached.found, cached.problem.is_none()), (false, true));
        assert_eq!(cached.program, compile(&profile("ptrace")).unwrap());
        assert_eq!(fs::read(&entry).unwrap(), kept);
    }
}

#[test]
fn distrusts_entries_that_others_can_write() {
    for bits in [0o604, 0o640, 0o620, 0o602, 0o677] {
        let (place, entry) = Place::filled();
        mode(&entry, bits);
        place.distrusts("not private", true);
    }
}

#[test]
fn distrusts_entries_of_others() {
    if !geteuid().is_root() {
        return eprintln!("not tried: only root can give files away");
    }
    let (place, entry) = Place::filled();
    chown(&entry, Some(1000), None).unwrap();
    place.distrusts("another user", true);
}

#[test]
fn distrusts_links() {
    let (place, entry) = Place::filled();
    let elsewhere = place.cache.directory.with_file_name("elsewhere");
    fs::rename(&entry, &elsewhere).unwrap();
    symlink(&elsewhere, &entry).unwrap();
    place.distrusts("is not used", true);

    fs::hard_link(&entry, elsewhere.with_file_name("second")).unwrap();
    place.distrusts("second name", true);
}

#[test]
fn distrusts_what_is_no_file() {
    let (place, entry) = Place::filled();
    fs::remove_file(&entry).unwrap();
    mkfifoat(CWD, &entry, Mode::RUSR | Mode::WUSR).unwrap();
    place.distrusts("no regular file", true);

    fs::remove_file(&entry).unwrap();
    fs::DirBuilder::new().mode(0o700).create(&entry).unwrap();
    place.distrusts("no regular file", false);
}

#[test]
fn distrusts_directories_of_others() {
    for bits in [0o701, 0o710, 0o720, 0o777] {
        let (place, _) = Place::filled();
        mode(&place.cache.directory, bits);
        place.distrusts("not private", false);
    }
    let (place, _) = Place::filled();
    let elsewhere = place.cache.directory.with_file_name("elsewhere");
    fs::rename(&place.cache.directory, &elsewhere).unwrap();
    symlink(&elsewhere, &place.cache.directory).unwrap();
    place.distrusts("is not used", false);
}

#[test]
fn distrusts_directories_that_others_own() {
    if !geteuid().is_root() {
        return eprintln!("not tried: only root can give directories away");
    }
    let (place, _) = Place::filled();
    chown(&place.cache.directory, Some(1000), None).unwrap();
    place.distrusts("another user", false);
}

#[test]
fn does_not_grow_for_ever() {
    let place = Place::new();
    for number in 0..MOST_ENTRIES * 3 {
        let key = key(&number.to_string());
        assert!(place.cache.find(&key).unwrap().is_none());
        place.cache.keep(&key, &compile(&profile("ptrace")).unwrap()).unwrap();
        assert!(place.cache.find(&key).unwrap().is_some());
        assert!(place.entries().len() <= MOST_ENTRIES);
    }
}

#[test]
fn serves_many_at_once() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for round in 0..200 {
                    let key = key(&format!("{}", round % 100));
                    let program = compile(&profile("ptrace")).unwrap();
                    match place.cache.find(&key).unwrap() {
                        Some(found) => assert_eq!(found, program),
                        None => place.cache.keep(&key, &program).unwrap(),
                    }
                }
            });
        }
    });
}

/// Run by [`another_program_shares_nothing`].
#[test]
#[ignore = "is run in a copy of the program"]
fn from_elsewhere() {
    let Some(directory) = std::env::var_os("CACHE") else { return };
    let place = Place { _parent: tempfile::tempdir().unwrap(), cache: Cache::new(directory) };
    let expected = std::env::var_os("FOUND").is_some();
    assert_eq!(place.get("ptrace").found, expected);
}

#[test]
fn another_program_shares_nothing() {
    let (place, _) = Place::filled();
    let copy = place.cache.directory.with_file_name("copy");
    fs::copy("/proc/self/exe", &copy).unwrap();
    let run = |found: bool| {
        let mut command = Command::new(&copy);
        command.args(["--exact", "cache::tests::from_elsewhere", "--ignored"]);
        command.env("CACHE", &place.cache.directory).stdout(Stdio::null());
        let status = if found { command.env("FOUND", "1") } else { &mut command }.status();
        assert!(status.unwrap().success(), "found: {found}");
    };
    run(false);
    run(true);
    // Another program in its place, of the same size and, as packages may have it, time.
    mode(&copy, 0o700);
    run(false);
}
