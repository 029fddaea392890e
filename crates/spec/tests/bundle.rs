//! Bundles on a real file system.

#![expect(clippy::unwrap_used, reason = "a helper of tests fails the test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use coracle_spec::{
    Bundle, CONFIG_SIZE_LIMIT, Error, default_document, default_spec, write_default,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::{TempDir, tempdir};

fn bundle() -> (TempDir, Bundle) {
    let dir = tempdir().unwrap();
    let bundle = Bundle::open(dir.path()).unwrap();
    (dir, bundle)
}

#[test]
fn a_bundle_has_one_absolute_path() {
    let dir = tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    fs::create_dir(dir.join("real")).unwrap();
    symlink("real", dir.join("link")).unwrap();

    let bundle = Bundle::open(dir.join("link/../link/.")).unwrap();
    assert_eq!(bundle.dir(), dir.join("real"));
    assert_eq!(bundle.config_path(), dir.join("real/config.json"));
    assert_eq!(bundle.clone().with_config("b.json").config_path(), dir.join("real/b.json"));
    assert_eq!(bundle.with_config("/etc/c.json").config_path(), Path::new("/etc/c.json"));
}

#[test]
fn a_missing_bundle_is_named() {
    let (dir, _) = bundle();
    let error = Bundle::open(dir.path().join("gone")).unwrap_err();
    assert!(matches!(error, Error::OpenBundle { .. }));
    let text = error.to_string();
    assert!(text.ends_with("/gone; give a directory that holds a config.json"), "{text}");

    fs::write(dir.path().join("file"), "").unwrap();
    let error = Bundle::open(dir.path().join("file")).unwrap_err();
    let Error::OpenBundle { source, .. } = error else { panic!("{error}") };
    assert!(source.to_string().ends_with("ENOTDIR (not a directory)"), "{source}");
}

#[test]
fn a_missing_configuration_comes_with_a_remedy() {
    let (_dir, bundle) = bundle();
    let error = bundle.load().unwrap_err();
    assert!(matches!(error, Error::NoConfig { .. }));
    assert!(error.to_string().contains("`coracle spec`"));
}

#[test]
fn text_that_is_not_json_is_located() {
    let (_dir, bundle) = bundle();
    fs::write(bundle.config_path(), "{\n  \"ociVersion\": oops\n}").unwrap();
    let Error::NotJson { source, .. } = bundle.load().unwrap_err() else { panic!() };
    assert_eq!((source.line(), source.column()), (2, 17));

    for text in ["", "{", "{}x", "\u{feff}{}", "{\"a\": \"\u{1}\"}"] {
        fs::write(bundle.config_path(), text).unwrap();
        assert!(matches!(bundle.load(), Err(Error::NotJson { .. })), "{text:?}");
    }
    fs::write(bundle.config_path(), b"{\"a\": \"\xff\"}").unwrap();
    assert!(matches!(bundle.load(), Err(Error::NotJson { .. })));
}

#[test]
fn a_pipe_or_a_directory_is_not_waited_for() {
    let (_dir, bundle) = bundle();
    mknodat(CWD, bundle.config_path(), FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(matches!(bundle.load(), Err(Error::NotAFile { .. })));

    fs::remove_file(bundle.config_path()).unwrap();
    fs::create_dir(bundle.config_path()).unwrap();
    assert!(matches!(bundle.load(), Err(Error::NotAFile { .. })));
    assert!(matches!(bundle.with_config("/dev/zero").load(), Err(Error::NotAFile { .. })));
}

#[test]
fn size_is_limited_by_what_is_read() {
    let (_dir, bundle) = bundle();
    let file = fs::File::create(bundle.config_path()).unwrap();
    file.set_len(1 << 40).unwrap();
    assert!(matches!(bundle.load(), Err(Error::TooLarge { .. })));

    // Exactly the limit, in spaces, is read; then it is an ordinary document.
    let mut text = default_document(None).into_bytes();
    text.resize(usize::try_from(CONFIG_SIZE_LIMIT).unwrap(), b' ');
    fs::write(bundle.config_path(), text).unwrap();
    assert!(bundle.load().is_ok());
}

#[test]
fn an_unreadable_configuration_names_the_call() {
    if rustix::process::geteuid().is_root() {
        println!("skipped: root can read every file");
        return;
    }
    let (_dir, bundle) = bundle();
    fs::write(bundle.config_path(), "{}").unwrap();
    rustix::fs::chmod(bundle.config_path(), Mode::empty()).unwrap();
    let Error::ReadConfig { source, .. } = bundle.load().unwrap_err() else { panic!() };
    assert!(source.to_string().contains("EACCES"));
}

#[test]
fn the_default_is_written_once_and_loads() {
    for rootless in [None, Some((1000, 100))] {
        let (dir, bundle) = bundle();
        let path = write_default(dir.path(), rootless).unwrap();
        assert_eq!(path.canonicalize().unwrap(), bundle.config_path());
        let loaded = bundle.load().unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.spec, default_spec(rootless).unwrap());

        fs::write(&path, "mine").unwrap();
        assert!(matches!(write_default(dir.path(), rootless), Err(Error::ConfigExists { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
    let error = write_default("/nonexistent", None).unwrap_err();
    assert!(matches!(error, Error::WriteConfig { .. }));
}

#[test]
fn a_dangling_link_is_not_written_through() {
    let (dir, bundle) = bundle();
    symlink(dir.path().join("elsewhere"), bundle.config_path()).unwrap();
    assert!(matches!(write_default(dir.path(), None), Err(Error::ConfigExists { .. })));
    assert!(!dir.path().join("elsewhere").exists());
}

#[test]
fn defaults() {
    insta::assert_snapshot!("default", default_document(None));
    insta::assert_snapshot!("rootless", default_document(Some((1000, 100))));
}
