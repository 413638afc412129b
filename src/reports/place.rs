//! Files that are there whole or not at all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::ReportError;

/// The folder of a report.
#[derive(Debug)]
pub(super) struct Place {
    dir: PathBuf,
    written: Vec<PathBuf>,
}

impl Place {
    /// The folder, made where it is missing.
    pub(super) fn open(dir: &Path) -> Result<Self, ReportError> {
        fs::create_dir_all(dir).map_err(|source| ReportError::Write { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned(), written: Vec::new() })
    }

    /// Writes a file beside its place and moves it there when it is whole. What is half written is taken away again.
    pub(super) fn put(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), ReportError> {
        let path = self.dir.join(name);
        let beside = self.dir.join(format!(".{name}.{}.tmp", std::process::id()));
        let placed = written(&beside, write).and_then(|()| fs::rename(&beside, &path));
        if let Err(source) = placed {
            // It may never have been there; the reason that counts is the first one.
            let _ = fs::remove_file(&beside);
            return Err(ReportError::Write { path, source });
        }
        self.written.push(path);
        Ok(())
    }

    /// The same for what is in memory.
    pub(super) fn put_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), ReportError> {
        self.put(name, |out| out.write_all(bytes))
    }

    /// Takes away what an earlier run has left under these names: a page of one run beside the figures of another would be
    /// taken for theirs.
    pub(super) fn clear(&self, names: &[&str]) -> Result<(), ReportError> {
        for name in names {
            let path = self.dir.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(ReportError::Write { path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What was put, in this order.
    pub(super) fn written(self) -> Vec<PathBuf> {
        self.written
    }
}

fn written(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    write(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}
