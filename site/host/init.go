package host

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"fardel/site"
	"fardel/site/charter"
	"fardel/site/store"
)

// Init sets up the top site of a new hierarchy in dir: it makes the keys, the
// charter and the site's first entry, and writes the card.
func Init(ctx context.Context, dir string, code site.Code, name string, sealing charter.Sealing, opts Options) (*Host, error) {
	hierarchy := charter.NewHierarchyID()
	keys, err := charter.GenerateTop(hierarchy, code, sealing)
	if err != nil {
		return nil, err
	}
	created := clock(opts)
	unsigned, err := charter.NewCharter(keys, created)
	if err != nil {
		return nil, err
	}
	first, err := unsigned.Sign(keys.Root())
	if err != nil {
		return nil, err
	}
	chain, err := charter.OpenChain([][]byte{first}, site.Digest{})
	if err != nil {
		return nil, err
	}
	me := Me{Code: code, Name: name, Hierarchy: hierarchy, Root: chain.Latest().Root(), Sealing: sealing, Created: stamp(created)}
	return setUp(ctx, dir, me, keys, [][]byte{first}, opts)
}

// Join sets up a site below another one, whose card it was given. The card pins
// the root of the hierarchy; everything else arrives with the first parcel.
func Join(ctx context.Context, dir string, code site.Code, name string, parent charter.Card, opts Options) (*Host, error) {
	if parent.Hierarchy == "" || parent.Root.IsZero() {
		return nil, site.BadUsage.New("the card of %s names no hierarchy: %s has not joined one itself", parent.Site, parent.Site)
	}
	if parent.Site == code {
		return nil, site.BadUsage.New("%s cannot be its own parent", code)
	}
	keys, err := charter.Generate(parent.Hierarchy, code, parent.Sealing)
	if err != nil {
		return nil, err
	}
	me := Me{
		Code: code, Name: name, Hierarchy: parent.Hierarchy, Root: parent.Root,
		Sealing: parent.Sealing, Parent: parent.Site, Created: stamp(clock(opts)),
	}
	return setUp(ctx, dir, me, keys, nil, opts)
}

func clock(opts Options) time.Time {
	if opts.Now != nil {
		return opts.Now()
	}
	return time.Now()
}

// setUp writes keys first and the record of the site last, so that an
// interrupted set-up is never mistaken for a site.
func setUp(ctx context.Context, dir string, me Me, keys *charter.Keys, charters [][]byte, opts Options) (*Host, error) {
	if err := freshFolder(dir); err != nil {
		return nil, err
	}
	if err := writeKeys(filepath.Join(dir, "keys"), keys); err != nil {
		return nil, err
	}
	h, err := open(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	h.Me, h.Self, h.Keys = me, me.Code, keys
	if err := h.firstRecords(charters); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	if _, err := h.WriteCard(); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func (h *Host) firstRecords(charters [][]byte) error {
	err := h.Store.Update(func(tx *store.Tx) error {
		for i, note := range charters {
			if err := tx.Put(store.Records, charterKey(i+1), note); err != nil {
				return err
			}
		}
		return store.PutJSON(tx, meKey, h.Me)
	})
	if err != nil || len(charters) == 0 || h.Me.Parent != "" {
		return err
	}
	return h.Update(func(v *View) error {
		e, err := site.NewEntry(h.Now(), site.KindSite, string(h.Self), site.SiteBody{
			Name: h.Me.Name, Keys: []site.SiteKey{h.Keys.SiteKey(1)}, State: site.SiteActive,
		})
		if err != nil {
			return err
		}
		return v.Append(site.Decisions, e)
	})
}

// freshFolder makes dir, private to its owner, and refuses one in use.
func freshFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return site.Failed.New("cannot make the state folder %s: %v", dir, err)
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	if len(names) > 0 {
		return site.Exists.New("%s is not empty", dir).
			In("Nothing was changed").
			Then("fardel status --state %s    to see whether it is a site", dir).
			Then("name another folder with --state, or empty this one")
	}
	return os.Chmod(dir, 0o700)
}

func writeKeys(dir string, keys *charter.Keys) error {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	files, err := keys.Files()
	if err != nil {
		return err
	}
	for name, data := range files {
		if err := WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return SyncDir(filepath.Dir(dir))
}

func readKeys(dir string) (*charter.Keys, error) {
	names, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, n := range names {
		info, err := n.Info()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() || n.Name()[0] == '.' {
			continue
		}
		if info.Mode().Perm()&0o077 != 0 {
			return nil, site.NotAllowed.New("the key %s can be read by others", filepath.Join(dir, n.Name())).
				Then("chmod 600 %s", filepath.Join(dir, n.Name()))
		}
		if files[n.Name()], err = os.ReadFile(filepath.Join(dir, n.Name())); err != nil {
			return nil, err
		}
	}
	keys, err := charter.ParseKeys(files)
	if err != nil {
		return nil, site.StateDamaged.New("the keys in %s cannot be read: %v", dir, err).
			Then("fardel key restore FILE    from the key backup")
	}
	return keys, nil
}

// Card returns the site's card, signed by itself.
func (h *Host) Card() ([]byte, error) {
	return h.Keys.Card(h.Me.Name, h.Me.Parent, h.Me.Root, h.Now()).Sign(h.Keys.Signer())
}

// WriteCard writes the site's card into the state folder and returns its path.
func (h *Host) WriteCard() (string, error) {
	card, err := h.Card()
	if err != nil {
		return "", err
	}
	return h.CardPath(), WriteFile(h.CardPath(), card, 0o644)
}

// Words returns the root's fingerprint as ten words, to compare by phone.
func (h *Host) Words() string { return charter.Words(h.Me.Root) }
