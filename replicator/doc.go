// Package replicator decides what travels between sites, packs it into parcels,
// and takes in what arrives.
//
// Outward: [Replicator.Plan] compares what a site lacks, by its receipts, with
// what is held here; [Replicator.Pack] seals that into bundles, segments, a body
// and a label, which lie in the outbox until some sender moves them; and
// [Replicator.Handed] records that they have left.
//
// Inward: [Replicator.Import] takes every parcel on a carrier through one path:
// trust files, label, body, logs, one small transaction that moves all marks,
// then content through the library's door. Nothing on a carrier is believed
// without a signature, and nothing of a parcel is visible before all of it was
// verified.
//
// What is sent follows from positions and wants, never from parcel numbers, so
// that a lost medium costs nothing but the next export. The package knows no
// sender: a [Carrier] is any folder that parcels lie in.
package replicator
