#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| atlas_backup_exporter_fuzz::invariants::error_body(bytes));
