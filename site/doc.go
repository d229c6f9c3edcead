// Package site holds the nouns of Fardel and the pure rules between them.
//
// A site is one node in a tree of sites: it keeps a library of files, named by
// their SHA-256, and two append-only signed logs. The decisions log says what
// the site decided and travels down the tree; the observations log says what
// the site saw and travels up. Each line of a log is an [Entry]; an entry says
// something about one object, named by its [Kind] and an id, and the latest
// entry about an object is what counts. Who may say what stands in one table,
// in authority.go.
//
// Nothing here does I/O, reads a clock or knows a database: every function is
// a pure function of its arguments. A newcomer who has read this package knows
// the words that all others use:
//
//   - [Code], [Hierarchy], [Site]: the tree and its members
//   - [Digest]: the name of content
//   - [LogID], [Position], [Entry]: the record
//   - [PackageID], [PackageBody], [Program]: software
//   - [Fault]: every failure that a person gets to see
package site
