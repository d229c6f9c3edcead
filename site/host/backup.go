package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"fardel/site"
	"fardel/site/charter"
	"fardel/site/store"
)

// Names within a kit or backup, beside keys, charters and card.
const (
	meFile        = "me.json"
	positionsFile = "positions.json"
)

// KitName returns the file name of an enrolment kit.
func KitName(code site.Code) string { return code.Lower() + ".kit" }

// MakeKit admits a new site with keys that are made here, and writes everything
// that it needs to start into one file in dir, sealed with the passphrase: one
// trip instead of two, and the only way behind a data diode.
func (h *Host) MakeKit(code site.Code, name string, parent site.Code, rights []site.Right, dir, passphrase string) (string, error) {
	if parent == "" {
		parent = h.Self
	}
	keys, err := charter.Generate(h.Me.Hierarchy, code, h.Me.Sealing)
	if err != nil {
		return "", err
	}
	card, err := keys.Card(name, parent, h.Me.Root, h.Now()).Sign(keys.Signer())
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, KitName(code))
	if _, err := os.Stat(path); err == nil {
		return "", site.Exists.New("%s is there already", path).In("Nothing was changed").Then("name another folder, or remove the old kit")
	}
	var charters [][]byte
	err = h.View(func(v *View) error {
		charters = v.Chain.Notes()
		if !v.IsTop() {
			return site.NotAllowed.New("only the top site %s makes enrolment kits", v.Hier.Top).
				Then("fardel init %s --parent %s.card    at the new site, and carry its card here", code, h.Self.Lower())
		}
		if _, ok := v.Hier.Sites[code]; ok {
			return site.Exists.New("%s is a member of the hierarchy already", code).In("Nothing was changed").
				Then("fardel site rekey %s CARD --lost    if it has to start again", code)
		}
		return v.fitsTree(code, parent)
	})
	if err != nil {
		return "", err
	}
	me := Me{Code: code, Name: name, Hierarchy: h.Me.Hierarchy, Root: h.Me.Root, Sealing: h.Me.Sealing, Parent: parent, Created: stamp(h.Now())}
	kit := charter.Backup{Kind: charter.KindKit, Keys: keys, Charters: charters, Card: card}
	if err := sealFile(path, kit, passphrase, map[string]any{meFile: me}); err != nil {
		return "", err
	}
	if _, err := h.AddSite(card, parent, rights); err != nil {
		return "", errors.Join(err, os.Remove(path)) // a kit for a site that is none
	}
	return path, nil
}

// TakeKit sets up the site that a kit was made for, in dir.
func TakeKit(ctx context.Context, dir, path, passphrase string, opts Options) (*Host, error) {
	kit, me, err := openFile(path, passphrase, charter.KindKit)
	if err != nil {
		return nil, err
	}
	return setUp(ctx, dir, me, kit.Keys, kit.Charters, opts)
}

// BackupKeys writes the site's keys into one file in dir, sealed with the
// passphrase, and remembers that it did.
func (h *Host) BackupKeys(dir, passphrase string) (string, error) {
	card, err := h.Card()
	if err != nil {
		return "", err
	}
	backup := charter.Backup{Kind: charter.KindBackup, Keys: h.Keys, Card: card}
	var own []site.LogPosition
	err = h.View(func(v *View) error {
		backup.Charters = v.Chain.Notes()
		// What never left the site is not missed by anybody.
		s, err := h.readSentinel()
		own = append([]site.LogPosition{}, s.Logs...)
		return err
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("%s-keys-%s.backup", h.Self.Lower(), h.Now().Format("20060102-150405")))
	if err := sealFile(path, backup, passphrase, map[string]any{meFile: h.Me, positionsFile: own}); err != nil {
		return "", err
	}
	return path, h.Store.Update(func(tx *store.Tx) error {
		return store.PutJSON(tx, backupKey, Saved{At: stamp(h.Now()), Path: path, Key: h.Keys.SignKey()})
	})
}

const backupKey = "backup"

// Saved is the record of the last key backup.
type Saved struct {
	At   string `json:"at"`
	Path string `json:"path"`
	Key  string `json:"key"` // public half of the key that was saved
}

// LastBackup returns when the site's present keys were last backed up.
func (v *View) LastBackup() (Saved, bool, error) {
	s, ok, err := store.GetJSON[Saved](v.Tx, backupKey)
	return s, ok && s.Key == v.Host.Keys.SignKey(), err
}

// RestoreKeys brings back a site's keys from a backup. Into an existing state
// folder it puts the key files. Into an empty one it puts a site that knows only
// its keys and its hierarchy: its entries come back from its neighbours, and
// until then it signs nothing.
func RestoreKeys(ctx context.Context, dir, path, passphrase string, opts Options) (*Host, error) {
	b, me, err := openFile(path, passphrase, charter.KindBackup)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "db")); err == nil {
		return restoreInto(ctx, dir, b, opts)
	}
	// Not through setUp: a top must not write its first entry again.
	if err := freshFolder(dir); err != nil {
		return nil, err
	}
	if err := writeKeys(filepath.Join(dir, "keys"), b.Keys); err != nil {
		return nil, err
	}
	h, err := open(ctx, dir, opts)
	if err != nil {
		return nil, err
	}
	h.Me, h.Self, h.Keys = me, me.Code, b.Keys
	err = h.Store.Update(func(tx *store.Tx) error {
		for i, note := range b.Charters {
			if err := tx.Put(store.Records, charterKey(i+1), note); err != nil {
				return err
			}
		}
		return store.PutJSON(tx, meKey, me)
	})
	if err == nil {
		err = h.fenceRestored(b)
	}
	if err == nil {
		_, err = h.WriteCard()
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// fenceRestored keeps a site that has lost its logs from signing new ones over
// the old.
func (h *Host) fenceRestored(b charter.Backup) error {
	var own []site.LogPosition
	if err := site.DecodeCanonical(b.More[positionsFile], &own); err != nil {
		return site.Damaged.New("the key backup lacks the positions of the site's logs").Because(err)
	}
	if len(own) == 0 { // saved before anything was signed: some may have been since
		own = []site.LogPosition{{LogID: h.Own(site.Observations), Position: site.Position{Epoch: 1, Size: 1}}}
	}
	return h.Update(func(v *View) error {
		for _, p := range own {
			if err := v.Fence("it was restored from a key backup and lacks its own entries", p); err != nil {
				return err
			}
		}
		return nil
	})
}

// restoreInto replaces the key files of a state folder whose keys were lost.
func restoreInto(ctx context.Context, dir string, b charter.Backup, opts Options) (*Host, error) {
	keys := filepath.Join(dir, "keys")
	if have, err := readKeys(keys); err == nil && have.SignKey() != b.Keys.SignKey() {
		return nil, site.Exists.New("%s holds other keys than the backup", keys).In("Nothing was changed").
			Then("move them away first if the backup's are the right ones")
	}
	aside := keys + ".old"
	if err := os.RemoveAll(aside); err != nil {
		return nil, err
	}
	if err := os.Rename(keys, aside); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := writeKeys(keys, b.Keys); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(aside); err != nil {
		return nil, err
	}
	return Open(ctx, dir, opts)
}

func sealFile(path string, b charter.Backup, passphrase string, more map[string]any) error {
	b.More = map[string][]byte{}
	for name, v := range more {
		text, err := site.Canonical(v)
		if err != nil {
			return err
		}
		b.More[name] = text
	}
	plain, err := b.Encode()
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := charter.SealSecret(&out, passphrase, plain); err != nil {
		return err
	}
	if err := WriteFile(path, out.Bytes(), 0o600); err != nil {
		return site.Failed.New("cannot write %s: %v", path, err).In("Nothing was changed").Because(err)
	}
	return nil
}

// openFile opens a kit or backup: a file, or a folder that holds one kit.
func openFile(path, passphrase string, kind charter.BackupKind) (b charter.Backup, me Me, err error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() && kind == charter.KindKit {
		found, err := filepath.Glob(filepath.Join(path, "*.kit"))
		if err != nil || len(found) != 1 {
			return b, me, site.NoSuch.New("%s holds %d enrolment kits; name the file", path, len(found)).In("Nothing was changed")
		}
		path = found[0]
	}
	f, err := os.Open(path)
	if err != nil {
		return b, me, site.NoSuch.New("cannot open %s: %v", path, err).In("Nothing was changed")
	}
	defer f.Close()
	plain, err := charter.OpenSecret(f, passphrase, charter.MaxBackup)
	if err != nil {
		return b, me, err
	}
	if b, err = charter.ParseBackup(plain); err != nil {
		return b, me, err
	}
	if b.Kind != kind {
		return b, me, site.BadUsage.New("%s is a %s, not a %s", path, b.Kind, kind).In("Nothing was changed")
	}
	if err := site.DecodeCanonical(b.More[meFile], &me); err != nil || me.Code != b.Keys.Code() || me.Hierarchy != b.Keys.Hierarchy() {
		return b, me, site.Damaged.New("%s lacks the facts of its site", path).In("Nothing was changed").Because(err)
	}
	if len(b.Charters) > 0 {
		if _, err := charter.OpenChain(b.Charters, me.Root); err != nil {
			return b, me, err
		}
	}
	me.Name = strings.TrimSpace(me.Name)
	return b, me, nil
}
