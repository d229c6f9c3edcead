// Package host is a site opened on this machine: its keys, its store, its
// library, and what its administrator does there.
//
// [Init], [Join] and [TakeKit] set a site up; [Open] opens it for one process.
// A [Host] then answers questions through [Host.View], which shows the site's
// logs as they stand at one instant, folded into a hierarchy and a list of
// packages, and acts through methods such as [Host.AddPackage] and
// [Host.AddSite]. Each action stores its files first, then writes its entries
// to the site's own log in one transaction, so that a crash leaves it done or
// not done.
//
// The host knows nothing of parcels: what travels, and when, is the business of
// package replicator, which builds on this one.
//
// The state folder (mode 0700) holds:
//
//	keys/       the site's private keys, mode 0600
//	db/         Badger: logs and records
//	library/    files by SHA-256
//	outbox/     sealed bundles, ready to be sent again
//	inbox/      parcels that wait for an earlier one
//	relay/      parcels of other sites, on their way through
//	hq0.card    the site's card, to hand to its neighbours
//
// and beside it lies STATE.sentinel, which remembers how far the site has
// signed, so that a state restored from a backup is noticed.
package host
