//! Downloads that break, and what is left of them.

use std::fs;

use soundstorm_hub::RemoteError;

use super::{
    fake::{FIRST, Fake, WEIGHTS, name, read, sha256, weights},
    server::Request,
};

/// The bytes from which the storage was asked.
fn ranges(requests: &[Request]) -> Vec<Option<String>> {
    let stored = requests
        .iter()
        .filter(|request| request.path.starts_with("/storage"));
    stored
        .map(|request| request.header("range").map(str::to_owned))
        .collect()
}

fn bytes(from: usize) -> Option<String> {
    Some(format!("bytes={from}-"))
}

/// That neither a link nor a blob claims to be the weights.
fn nothing_counts(fake: &Fake) {
    assert!(!fake.blob(&sha256(&weights(1))).exists());
    let link = fake
        .folder()
        .join("snapshots")
        .join(FIRST)
        .join("model.safetensors");
    assert!(fs::symlink_metadata(link).is_err());
    assert!(fake.offline("").is_err());
}

#[test]
fn a_broken_connection_is_taken_up_again() {
    let fake = Fake::start();
    fake.state().breaks.extend([70_001, 13]);
    let fetched = fake.fetch("").unwrap();
    assert_eq!(read(&fetched.folder, "model.safetensors"), weights(1));
    assert_eq!(fetched.sha256, sha256(&weights(1)));
    let from = [None, bytes(70_001), bytes(70_014)];
    assert_eq!(ranges(&fake.server.requests()), from);
    assert!(!fake.part(&fetched.sha256).exists());
}

#[test]
fn storage_without_ranges_sends_all_again() {
    let fake = Fake::start();
    fake.state().no_ranges = true;
    fake.state().breaks.extend([70_001, 13]);
    let fetched = fake.fetch("").unwrap();
    assert_eq!(read(&fetched.folder, "model.safetensors"), weights(1));
    let from = [None, bytes(70_001), bytes(13)];
    assert_eq!(ranges(&fake.server.requests()), from);
}

#[test]
fn what_breaks_for_good_is_continued_next_time() {
    let fake = Fake::start();
    // Once with something, then five times with nothing.
    fake.state().breaks.extend([70_001, 0, 0, 0, 0, 0]);
    let error = fake.fails("");
    let RemoteError::Interrupted { done, attempts, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((done, attempts), (70_001, 5));
    for word in ["model.safetensors", "70001", "try again"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    nothing_counts(&fake);

    fake.state().breaks.clear();
    fake.server.requests();
    let fetched = fake.fetch("").unwrap();
    assert_eq!(read(&fetched.folder, "model.safetensors"), weights(1));
    assert_eq!(ranges(&fake.server.requests()), [bytes(70_001)]);
    assert!(!fake.part(&fetched.sha256).exists());
}

#[test]
fn what_an_earlier_process_left_is_checked() {
    let fake = Fake::start();
    let hash = sha256(&weights(1));
    for left in [vec![0; 4001], vec![0; WEIGHTS], vec![0; WEIGHTS + 1]] {
        fs::create_dir_all(fake.folder().join("blobs")).unwrap();
        fs::write(fake.part(&hash), left).unwrap();
        let fetched = fake.fetch("").unwrap();
        assert_eq!(read(&fetched.folder, "model.safetensors"), weights(1));
        assert!(!fake.part(&hash).exists());
        fs::remove_dir_all(fake.folder()).unwrap();
    }
}

#[test]
fn damaged_weights_are_refused() {
    let fake = Fake::start();
    fake.state().damaged = true;
    let error = fake.fails("");
    let mut changed = weights(1);
    changed[WEIGHTS / 2] ^= 1;
    for word in ["model.safetensors", &sha256(&weights(1)), &sha256(&changed)] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    assert!(matches!(error, RemoteError::Hash { .. }), "{error}");
    nothing_counts(&fake);
    assert!(!fake.part(&sha256(&weights(1))).exists());

    fake.state().damaged = false;
    fake.fetch("").unwrap();
}

#[test]
fn what_is_too_long_is_refused() {
    let fake = Fake::start();
    fake.state().appended = 1;
    let error = fake.fails("");
    assert!(matches!(error, RemoteError::TooLong { expected, .. } if expected == WEIGHTS as u64));
    nothing_counts(&fake);
    assert!(!fake.part(&sha256(&weights(1))).exists());
}

#[test]
fn a_busy_hub_is_asked_again() {
    let fake = Fake::start();
    fake.state().refused.extend([503, 429]);
    fake.fetch("").unwrap();

    let fake = Fake::start();
    fake.state().refused.extend([503; 5]);
    let error = fake.fails("");
    assert!(
        matches!(error, RemoteError::Server { status: 503, .. }),
        "{error}"
    );
    assert_eq!(fake.requests().len(), 5);

    // Busy in the midst of it.
    let fake = Fake::start();
    let storage = fake.move_storage();
    let hub = fake.hub(&[]);
    let mut refuse = true;
    hub.fetch(&name(""), &mut |transfer| {
        if transfer.file == "config.json" && std::mem::take(&mut refuse) {
            fake.state().refused.extend([502, 500]);
        }
    })
    .unwrap();
    assert_eq!(storage.requests().len(), 1);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let fake = Fake::start();
    let hash = sha256(&weights(1));
    fs::create_dir_all(fake.folder().join("blobs")).unwrap();
    // A device that has no room for anything.
    std::os::unix::fs::symlink("/dev/full", fake.part(&hash)).unwrap();
    let error = fake.fails("");
    assert!(matches!(error, RemoteError::DiskFull { .. }), "{error}");
    for word in [
        "disk is full",
        "model.safetensors",
        "300007 bytes",
        "HF_HOME",
    ] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
    nothing_counts(&fake);
    assert!(fs::symlink_metadata(fake.part(&hash)).is_err());
}
