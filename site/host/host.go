package host

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"fardel/site"
	"fardel/site/charter"
	"fardel/site/library"
	"fardel/site/store"
)

// Options say how a site is opened. The zero value is fit for use.
type Options struct {
	Command      string           // what this process does, for a second process to read
	Now          func() time.Time // the clock; nil is time.Now
	LibraryRoots []string         // folders for content; none means the state folder's own
	Reserve      int64            // bytes kept free on the state volume; 0 is the store's default
	Wait         time.Duration    // how long to wait for another process; 0 is the store's default
}

// A Host is a site opened on this machine, by one process at a time.
type Host struct {
	Dir     string
	Me      Me
	Self    site.Code
	Store   *store.Store
	Library *library.Library
	Keys    *charter.Keys

	now  func() time.Time
	fold cache
}

// Open opens the site in dir. It returns a [site.NoSite] fault if there is
// none, and a [site.Locked] fault if another process has it open.
func Open(ctx context.Context, dir string, opts Options) (*Host, error) {
	if _, err := os.Stat(filepath.Join(dir, "keys")); errors.Is(err, os.ErrNotExist) {
		return nil, site.NoSite.New("there is no site in %s", dir).
			Then("fardel init CODE --name NAME          for the top of a new hierarchy").
			Then("fardel init CODE --parent PARENT.card    to join one")
	}
	h, err := open(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	if err := h.load(ctx); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func open(ctx context.Context, dir string, opts Options) (*Host, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	st, err := store.Open(ctx, filepath.Join(dir, "db"), store.Options{
		Command: opts.Command, Wait: opts.Wait, Reserve: opts.Reserve,
	})
	if err != nil {
		return nil, err
	}
	roots := opts.LibraryRoots
	if len(roots) == 0 {
		roots = []string{filepath.Join(dir, "library")}
	}
	lib, err := library.Open(roots)
	if err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return &Host{Dir: dir, Store: st, Library: lib, now: opts.Now}, nil
}

// load reads what the site knows of itself, and looks at the sentinel.
func (h *Host) load(ctx context.Context) error {
	var found bool
	err := h.Store.View(func(tx *store.Tx) (err error) {
		h.Me, found, err = store.GetJSON[Me](tx, meKey)
		return err
	})
	if err != nil {
		return err
	}
	if !found {
		return site.NoSite.New("the site in %s was never set up to the end", h.Dir).
			In("An earlier init was interrupted; nothing was given out").
			Then("remove %s and run fardel init again", h.Dir)
	}
	h.Self = h.Me.Code
	h.Keys, err = readKeys(filepath.Join(h.Dir, "keys"))
	if err != nil {
		return err
	}
	if err := h.checkSentinel(); err != nil {
		return err
	}
	_, err = h.Mend(ctx)
	return err
}

// Close gives the site free for other processes.
func (h *Host) Close() error { return errors.Join(h.Library.Close(), h.Store.Close()) }

// Now returns the site's time, in whole seconds.
func (h *Host) Now() time.Time { return h.now().UTC().Truncate(time.Second) }

// Path returns a path in the state folder.
func (h *Host) Path(elem ...string) string {
	return filepath.Join(append([]string{h.Dir}, elem...)...)
}

// CardPath returns where the site's card lies, to be handed to neighbours.
func (h *Host) CardPath() string { return h.Path(h.Self.Lower() + ".card") }

// Operator returns the operating system's name of the person at work, which
// goes into the record of each crossing.
func Operator() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return "unknown"
}
