// Package store keeps what a site knows: its records and its logs, in one
// folder, so that no crash and no bad disk can make it forget or lie quietly.
//
// It has two layers. The lower one holds small records in collections, in an
// embedded key-value engine, and adds what the engine lacks:
//
//   - One process at a time: a lock file names the one that is at work.
//   - What [Store.Update] has returned is on disk. One goroutine writes, and
//     puts the changes that are waiting into one commit; each of them still
//     succeeds or fails by itself.
//   - Each record carries a checksum over its key and value, and each
//     collection its count and the sum of those checksums, so that damage is
//     reported as [site.StateDamaged] and never reads as absence. When a store
//     is opened, the engine's tables are checked block by block, and the
//     number of the last commit is compared with one that is kept outside.
//   - The engine dies when the disk is full. So each commit looks at the free
//     space first, and a ballast file is given up when that runs short.
//
// The upper layer keeps logs. Each has a [Head], whose edge says how many
// entries count: the mark. [Store.Stage] writes the entries of others beyond
// the mark, in as many transactions as it takes; no reader sees them.
// [Tx.SetHead] then moves the marks of several logs, together with the caller's
// own records, in one small transaction. [Tx.Append] does both for a log that
// is written here.
//
// For each entry there is a row under (kind, object, descending index), so that
// the latest entry about an object is the first row at or below the mark. Rows
// and the roots of complete subtrees are written in the same commit as their
// entries: what an abandoned Stage left behind can be found from its entries
// alone, and is swept before the next one begins.
package store
