package host

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"fardel/site"
	"fardel/site/journal"
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
	for _, name := range []site.LogName{site.Decisions, site.Observations} {
		pos, err := v.Position(h.Own(name))
		if err != nil {
			return err
		}
		if pos.Epoch > 0 {
			s.Logs = raise(s.Logs, site.LogPosition{LogID: h.Own(name), Position: pos})
		}
	}
	b, err := json.MarshalIndent(s, "", " ")
	if err != nil {
		return err
	}
	return WriteFile(h.SentinelPath(), append(b, '\n'), 0o600)
}

// raise puts a position into a list that holds one for each log, the furthest.
// A fenced site exports too, and its sentinel must not come down by that.
func raise(list []site.LogPosition, p site.LogPosition) []site.LogPosition {
	for i, old := range list {
		if old.LogID == p.LogID {
			if journal.Compare(old.Position, p.Position) == journal.Older {
				list[i] = p
			}
			return list
		}
	}
	return append(list, p)
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
// the position again, and those of earlier calls.
func (v *View) Fence(why string, needs site.LogPosition) error {
	f, found, err := store.GetJSON[Fence](v.Tx, fenceKey)
	if err != nil {
		return err
	}
	if !found {
		f = Fence{Why: why, Since: stamp(v.Host.Now())}
	}
	f.Needs = raise(f.Needs, needs)
	return store.PutJSON(v.Tx, fenceKey, f)
}

// FenceBehind is [View.Fence] if the own log has not come to the position, or by
// another way. The position must be proved: one that this site has signed.
func (v *View) FenceBehind(why string, signed site.LogPosition) error {
	if old, err := v.behind(signed); err != nil || !old {
		return err
	}
	return v.Fence(why, signed)
}

// Fenced returns the fence, if one stands.
func (v *View) Fenced() (Fence, bool, error) { return store.GetJSON[Fence](v.Tx, fenceKey) }

// LiftFence removes the fence if the own log has reached what it asks for.
func (v *View) LiftFence() (bool, error) {
	f, found, err := v.Fenced()
	if err != nil || !found {
		return false, err
	}
	for _, p := range f.Needs {
		if old, err := v.behind(p); err != nil || old {
			return false, err
		}
	}
	if err := v.recount(); err != nil {
		return false, err
	}
	return true, v.Delete(store.Records, fenceKey)
}

// recount lifts the counters that own entries were numbered with: the entries
// may have come back from a neighbour.
func (v *View) recount() error {
	err := v.recountKind(packageKey, v.Host.Own(site.Decisions), site.KindPackage, func(id string) int64 {
		return site.PackageID(id).Number()
	})
	if err != nil {
		return err
	}
	return v.recountKind(alarmKey, v.Host.Own(site.Observations), site.KindAlarm, func(id string) int64 {
		_, number, _ := strings.Cut(id, "/")
		n, err := journal.ParseNumber(number)
		if err != nil {
			return 0
		}
		return n
	})
}

func (v *View) recountKind(key string, log site.LogID, kind site.Kind, number func(id string) int64) error {
	var highest int64
	err := v.Objects(log, kind, func(e site.Entry, _ int64) error {
		highest = max(highest, number(e.ID))
		return nil
	})
	if err != nil {
		return err
	}
	n, _, err := store.GetJSON[int64](v.Tx, key)
	if err != nil || n >= highest {
		return err
	}
	return store.PutJSON(v.Tx, key, highest)
}

// mayWrite refuses new entries while a fence stands.
func (v *View) mayWrite() error {
	f, found, err := v.Fenced()
	if err != nil || !found {
		return err
	}
	return site.Fenced.New("this site is fenced since %s: %s", f.Since, f.Why).
		In("Nothing was written; entries up to %s are missing", f.missing()).
		Then("import the next medium from a neighbour, which brings the lost entries back").
		Then("fardel recover    if no neighbour has them")
}

// missing says how far the site has to come again.
func (f Fence) missing() string {
	var out []string
	for _, p := range f.Needs {
		out = append(out, fmt.Sprintf("%d of %s", p.Size, p.LogID))
	}
	return strings.Join(out, " and ")
}

// WriteFile writes a small file durably: complete under its name, or not there.
func WriteFile(path string, data []byte, mode os.FileMode) error {
	dir := filepath.Dir(path)
	// One name for all attempts, so that interrupted ones do not pile up.
	part := filepath.Join(dir, "."+filepath.Base(path)+".part")
	if err := os.Remove(part); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
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
