// Package courier puts parcels onto removable media and takes them off again.
//
// It knows files, folders and disks, and nothing of keys: who signed a label
// and whether its contents may be believed is decided elsewhere. A medium is
// hostile all the same, so nothing on it is followed, trusted for its size or
// opened unless it is a regular file.
//
// The way out, in order:
//
//   - [Mounted] finds the media that are plugged in
//   - [Plan] spreads bundles over media, the urgent ones first
//   - [Write] brings a [Load] onto one medium, the labels last: a label that can
//     be seen means that every file it needs from this medium is complete, also
//     after a power cut at any moment
//   - [ReadBack] reads all of it again, past the page cache, because a stick may
//     take what it cannot keep
//   - [Eject] makes it safe to unplug
//
// The way in is [OpenCarrier]: a [Carrier] has no method that writes.
//
// Each site writes and deletes in the folder FARDEL/CODE that bears its own
// code; [Erase] is the one exception, and takes away what [List] shows.
package courier
