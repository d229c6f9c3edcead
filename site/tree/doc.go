// Package tree turns a folder into a package and a package into a folder.
//
// [Scan] walks a folder, hands each file to the library and returns the list of
// what it found. [WriteManifest] spells that list as a text, the manifest,
// which is itself a file of the library; its digest stands for the whole tree.
// [ReadManifest] reads it again, strictly, and [Write] makes a folder that
// equals the first: names, contents, permissions, links and empty folders.
// [ReadSpec] reads package.toml, which says what the package is and which
// programs it has. It describes the tree and is no part of it.
//
// What a package cannot carry is refused or noted, never dropped in silence.
// Devices, sockets and pipes are refused, and so are names that the package's
// platforms do not know. Permissions beyond read, write and execute are left
// out and noted. Owners, times and extended attributes are not carried.
//
// Both directions go through [os.Root] and follow no symbolic link, since a
// folder may change while it is read, and a manifest may be hostile. Both
// verify: a file that changes while it is added is noticed, and each file that
// is written is hashed on the way, so that a worn disk cannot spoil a delivered
// tree unseen.
package tree
