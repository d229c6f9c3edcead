// Package media holds the formats of everything that leaves a site, and nothing
// else: how the bytes are spelled, sealed and checked. It never decides whom to
// trust, never looks at a clock and never touches a disk.
//
// What travels is a parcel, from one site to one other:
//
//   - a [Label], the only clear text: who sends what to whom, signed, naming
//     every other file by digest and size;
//   - a body, sealed to the receiver: entries of logs, a [Receipt] for what came
//     the other way, and the keys of the rest ([BodyWriter], [BodyReader]);
//   - segments: long runs of entries, sealed to keys of their own so that one
//     file serves many receivers ([WriteSegment], [ReadSegment]);
//   - bundles: the files of packages, sealed likewise ([BundleWriter],
//     [BundleReader]).
//
// On a carrier, such as a stick, they lie in folders whose names stand in
// carrier.go.
//
// Three rules hold for every reader here. A limit is checked before memory is
// taken for what it bounds. Text has one legal spelling: what is read must
// re-encode to the same bytes. And io.EOF means that the end was reached and
// found right: the digest and the size of the sealed file, the end of age, of
// the codec, of the archive, and the stated length. Until then, nothing that was
// read may be acted on.
//
// Faults are of class [site.Untrusted] (nobody known signed this),
// [site.WrongKey] (sealed to somebody else), [site.TooNew] (a later format) or
// [site.Damaged] (all else). Among the damaged, [ErrMalformed] marks what its
// own sender spelled wrongly, and [ErrLimit] what is larger than a limit allows.
//
// The formats themselves are described in docs/format.md; fixtures/vectors holds
// files with one fault each.
package media
