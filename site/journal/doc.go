// Package journal holds the arithmetic and the signed texts of logs.
//
// A log is an RFC 6962 tree over its entries' lines. This package turns lines
// into hashes ([LeafHash]), keeps the root of a growing log from its right edge
// alone ([Edge]), signs and opens checkpoints ([Checkpoint]), and makes and
// checks the two kinds of proof: that an entry stands in a log ([Prove],
// [TrustEntry]) and that a log was only ever appended to ([ProveTree]).
//
// It is also the one door for signed texts. Charters, cards, labels and
// checkpoints are C2SP signed notes, and all of them come in through [OpenNote]
// or [OpenCheckpoint], which bound and check a note before any signature is
// looked at, and go out through [SignNote], which refuses to sign what a reader
// would refuse to open. What a text says is read with [ParseFields].
//
// Everything here is pure: no files, no clock, no state. The numbers come from
// hostile media, and the tree library underneath loops or panics on numbers
// that make no sense; so each is range-checked here, before it goes down.
package journal
