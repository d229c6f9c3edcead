package host

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"

	"fardel/site"
	"fardel/site/store"
)

// A sentinel remembers what the site has signed and let out. It lies beside
// the state folder and belongs into no backup of it: when the state is older
// than the sentinel, the state came out of a backup.
type sentinel struct {
	Hierarchy string              `json:"hierarchy"`
	Site      site.Code           `json:"site"`
	Logs      []site.LogPosition  `json:"logs"`
	Numbers   map[site.Code]int64 `json:"numbers"` // last parcel number by destination
}

// SentinelPath returns where the sentinel lies.
func (h *Host) SentinelPath() string { return h.Dir + ".sentinel" }

// RaiseSentinel records, durably, the positions of the site's own logs and the
// numbers of its parcels. It is called before anything signed leaves the site.
func (h *Host) RaiseSentinel(v *View, numbers map[site.Code]int64) error {
	s, err := h.readSentinel()
	if err != nil {
		return err
	}
	if s.Numbers == nil {
		s.Numbers = map[site.Code]int64{}
	}
	s.Hierarchy, s.Site = h.Me.Hierarchy, h.Self
	for to, n := range numbers {
		s.Numbers[to] = max(s.Numbers[to], n)
	}
	s.Logs = nil
	for _, name := range []site.LogName{site.Decisions, site.Observations} {
		pos, err := v.Position(h.Own(name))
		if err != nil {
			return err
		}
		if pos.Epoch > 0 {
			s.Logs = append(s.Logs, site.LogPosition{LogID: h.Own(name), Position: pos})
		}
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return WriteFile(h.SentinelPath(), append(b, '\n'), 0o600)
}

func (h *Host) readSentinel() (sentinel, error) {
	var s sentinel
	b, err := os.ReadFile(h.SentinelPath())
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return s, site.StateDamaged.New("the sentinel %s cannot be read", h.SentinelPath()).
			Then("if the file is damaged beyond doubt, remove it and run fardel recover").Because(err)
	}
	if s.Hierarchy != "" && (s.Hierarchy != h.Me.Hierarchy || s.Site != h.Self) {
		return sentinel{}, nil // of another site that was here before
	}
	return s, nil
}

// checkSentinel fences the site when its own logs are behind the sentinel, and
// lifts parcel numbers that are.
func (h *Host) checkSentinel() error {
	s, err := h.readSentinel()
	if err != nil || s.Hierarchy == "" {
		return err
	}
	behind := false
	err = h.View(func(v *View) error {
		for _, want := range s.Logs {
			old, err := v.behind(want)
			behind = behind || old
			if err != nil {
				return err
			}
		}
		for to, n := range s.Numbers {
			l, err := v.Link(to)
			behind = behind || l.Sent < n
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || !behind {
		return err
	}
	return h.Update(func(v *View) error {
		for to, n := range s.Numbers {
			l, err := v.Link(to)
			if err != nil {
				return err
			}
			l.Sent = max(l.Sent, n)
			if err := v.PutLink(to, l); err != nil {
				return err
			}
		}
		for _, want := range s.Logs {
			if old, err := v.behind(want); err != nil || !old {
				if err != nil {
					return err
				}
				continue
			}
			if err := v.Fence("its state is older than what it has signed", want); err != nil {
				return err
			}
		}
		return nil
	})
}

// behind reports whether the own log that want belongs to has not reached it,
// or has come by another way.
func (v *View) behind(want site.LogPosition) (bool, error) {
	have, err := v.Position(want.LogID)
	if err != nil {
		return false, err
	}
	if have.Epoch != want.Epoch {
		return have.Epoch < want.Epoch, nil
	}
	if have.Size < want.Size {
		return true, nil
	}
	root, err := v.RootAt(want.LogID, want.Size)
	return root != want.Root, err
}

// Fence keeps the site from signing anything new until its own log has reached
// the position again.
func (v *View) Fence(why string, needs site.LogPosition) error {
	f, found, err := store.GetJSON[Fence](v.Tx, fenceKey)
	if err != nil || found && f.Needs == needs {
		return err
	}
	return store.PutJSON(v.Tx, fenceKey, Fence{Why: why, Since: stamp(v.Host.Now()), Needs: needs})
}

// Fenced returns the fence, if one stands.
func (v *View) Fenced() (Fence, bool, error) { return store.GetJSON[Fence](v.Tx, fenceKey) }

// LiftFence removes the fence if the own log has reached what it asks for.
func (v *View) LiftFence() (bool, error) {
	f, found, err := v.Fenced()
	if err != nil || !found {
		return false, err
	}
	if old, err := v.behind(f.Needs); err != nil || old {
		return false, err
	}
	if err := v.recount(); err != nil {
		return false, err
	}
	return true, v.Delete(store.Records, fenceKey)
}

// recount lifts the counters that own entries were numbered with: the entries
// may have come back from a neighbour.
func (v *View) recount() error {
	var packages int64
	err := v.Objects(v.Host.Own(site.Decisions), site.KindPackage, func(e site.Entry, _ int64) error {
		packages = max(packages, site.PackageID(e.ID).Number())
		return nil
	})
	if err != nil {
		return err
	}
	n, _, err := store.GetJSON[int64](v.Tx, packageKey)
	if err != nil || n >= packages {
		return err
	}
	return store.PutJSON(v.Tx, packageKey, packages)
}

// mayWrite refuses new entries while a fence stands.
func (v *View) mayWrite() error {
	f, found, err := v.Fenced()
	if err != nil || !found {
		return err
	}
	return site.Fenced.New("this site is fenced since %s: %s", f.Since, f.Why).
		In("Nothing was written; %s has reached less than entry %d", f.Needs.LogID, f.Needs.Size).
		Then("import the next medium from a neighbour, which brings the lost entries back").
		Then("fardel recover    if no neighbour has them")
}

// WriteFile writes a small file durably: complete under its name, or not there.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return SyncDir(dir)
}

// SyncDir makes the names in a folder durable.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// CopyFile copies a regular file durably.
func CopyFile(dst, src string, mode os.FileMode) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	part := dst + ".part"
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	if err := os.Rename(part, dst); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(dst))
}
