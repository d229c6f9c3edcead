//go:build !linux

package courier

import (
	"context"
	"os"
	"syscall"

	"fardel/site"
)

// Other systems read and write folders that somebody else has mounted. They do
// not find media, measure them or eject them.
const (
	openFlags    = os.O_RDONLY
	noAccessTime = 0
)

var goneErrors = []error{syscall.EIO, syscall.ENODEV, syscall.ENXIO}

func unsupported(error) bool { return true }

func syncAll(*os.File) error { return nil }

func push(*os.File, int64, int64, int64) error { return nil }

type room struct {
	free, size, cluster int64
	readOnly            bool
}

// roomOf knows nothing: a full medium is noticed when it is full.
func roomOf(string) (room, error) { return room{free: 1 << 60, size: 1 << 60, cluster: 4096}, nil }

func dropCache(*os.File, int64) bool { return false }

func mounted(context.Context, system) ([]Medium, error) {
	return nil, site.NoMedium.New("media are not searched for on this system").Then("Name the path of the medium")
}

func eject(context.Context, string) (Ejection, error) { return Synced, nil }
