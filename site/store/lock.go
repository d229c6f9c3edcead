package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"fardel/site"
)

// takeLock takes the lock on the folder and writes into its file who has it:
// process, command, since when.
func takeLock(ctx context.Context, dir string, opts Options) (*flock.Flock, error) {
	wait, now := opts.Wait, opts.Now
	if wait == 0 {
		wait = 2 * time.Second
	}
	if now == nil {
		now = time.Now
	}
	path := filepath.Join(dir, lockName)
	l := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	patience, stop := context.WithTimeout(ctx, max(wait, 0))
	defer stop()
	for {
		got, err := l.TryLock()
		if err != nil {
			return nil, site.Failed.New("the lock %s cannot be taken", path).Because(err)
		}
		if got {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-patience.Done():
		}
		l.Close()
		if ctx.Err() != nil {
			return nil, site.Interrupted.New("interrupted while waiting for %s", holder(path)).Because(ctx.Err())
		}
		return nil, site.Locked.New("%s is using %s", holder(path), dir).
			In("Nothing was changed").
			Then("Wait until it has ended, or end it, and run again.")
	}
	command := opts.Command
	if command == "" {
		command = filepath.Base(os.Args[0])
	}
	text := fmt.Sprintf("%d %s %s\n", os.Getpid(), now().UTC().Format(site.TimeFormat), strings.Join(strings.Fields(command), " "))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Close()
		return nil, site.Failed.New("the lock %s cannot be written", path).Because(err)
	}
	return l, nil
}

// holder says who has the lock, as far as the file tells.
func holder(path string) string {
	b, err := os.ReadFile(path)
	parts := strings.SplitN(strings.TrimSpace(string(b)), " ", 3)
	if err != nil || len(b) > 4096 || len(parts) != 3 {
		return "another process" // it has taken the lock and not written yet
	}
	return fmt.Sprintf("%q (process %s, since %s)", parts[2], parts[0], parts[1])
}
