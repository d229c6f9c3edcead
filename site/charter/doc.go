// Package charter holds what trust rests on: who may speak for a hierarchy, and
// with which keys.
//
// At the bottom stand the root keys. They sign nothing but the [Charter], a
// small text that names the top site's keys, the release keys and the root keys
// themselves. Charters form a [Chain]: each names the digest of the one before
// and is signed by the thresholds of both, so that a site which knows one root,
// by its digest or by ten words read over the phone ([Words]), can follow every
// change after it.
//
// The keys of all other sites stand in the top site's log. Together with the
// charter they make a [Known], which tells a current key from one that was
// replaced or revoked. A [Card] is how a site introduces itself before it stands
// in that log, and [Keys] are the private halves that never leave the site,
// except sealed with a passphrase in a [Backup].
//
// Nothing here touches a file or reads a clock. Private keys are never shown: a
// [Keys] prints its public names only, in whatever way it is printed.
package charter
