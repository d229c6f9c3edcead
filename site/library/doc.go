// Package library keeps the files of a site, each under the SHA-256 of its
// bytes, in one or more folders called roots:
//
//	ROOT/files/ab/abcd…        a file: complete, verified, read-only
//	ROOT/partial/abcd…         a big file of which some parts have arrived
//	ROOT/partial/abcd….ranges  which parts those are
//	ROOT/tmp/PID-NONCE/        what one process is writing at the moment
//
// Equal files are stored once, whoever brought them. A file's presence is its
// proof: what stands under files was hashed while it was written, and was on
// the disk before it got its name. Nothing else may create files there.
//
// # The door
//
// Bytes come in through a [Batch] and by no other way. [Batch.Add] takes what
// is made here and tells its digest. [Batch.Receive] takes what others sent:
// only digests that are wanted, and only if length and digest are right.
// Nothing is visible before [Batch.Commit], so a bundle that turns out to be
// bad at its last byte leaves nothing behind.
//
// # Durability
//
// An fsync for each small file would cost ten times as much as the copy. A
// batch instead flushes the file system once, renames everything, and flushes
// once more. The order matters: without the first flush a power cut leaves
// empty files under their final names. File systems that are not known to keep
// this promise get an fsync for each file and folder.
//
// When Commit returns nil, everything is visible and durable. When it fails,
// or the process or the power dies, some files of the batch may be visible,
// all of them right; running the same batch again completes it.
package library
