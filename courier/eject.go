package courier

import "context"

// An Ejection is how far a medium could be let go.
type Ejection string

// What Eject can come to.
const (
	Synced    Ejection = "synced"    // no mount of its own: all bytes are on the disk
	Unmounted Ejection = "unmounted" // safe to unplug
	Ejected   Ejection = "ejected"   // the tray is open
)

// Eject writes out what is still in memory, unmounts the medium and opens the
// tray of a drive that has one. A path that is a folder, and no mount, is only
// synced. It fails with site.Failed if a program still uses the medium, or if
// this user may not unmount it; the bytes are safe then, too.
func Eject(ctx context.Context, path string) (Ejection, error) { return eject(ctx, path) }
