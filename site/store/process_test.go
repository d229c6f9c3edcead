package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fardel/site"
)

// The tests of this file run the test binary again, as another process.
const childVar = "FARDEL_STORE_TEST_CHILD"

func TestMain(m *testing.M) {
	if what := os.Getenv(childVar); what != "" {
		child(what, os.Getenv(childVar+"_DIR"))
		return
	}
	os.Exit(m.Run())
}

func child(what, dir string) {
	s, err := Open(context.Background(), dir, Options{Command: "fardel import  /media\n", Reserve: -1, Wait: -1})
	if err != nil {
		fmt.Println(explain(err))
		os.Exit(1)
	}
	switch what {
	case "hold":
		fmt.Println("holding")
		time.Sleep(time.Minute)
	case "late":
		for i := range 20 {
			if err := s.Update(put(fmt.Sprintf("late/%d", i), strings.Repeat("late", 20*i))); err != nil {
				fmt.Println(explain(err))
			}
		}
		fmt.Println("written")
		time.Sleep(time.Minute)
	case "stage":
		childStages(s)
	case "count":
		childCounts(s)
	case "stuck":
		childIsStuck(s, dir)
	}
}

// childIsStuck writes to a disk that takes no tables any more, and prints what
// Close says.
func childIsStuck(s *Store, dir string) {
	for i := range 1000 {
		if err := os.MkdirAll(filepath.Join(dir, engineDir, fmt.Sprintf("%06d.sst", i)), 0o700); err != nil {
			fmt.Println(err)
		}
	}
	fmt.Println("update", s.Update(put("kept", "it was reported as done")))
	err := s.Close()
	fmt.Println("close", errors.Is(err, site.Failed), errors.Is(err, errStuck))
	_, err = Open(context.Background(), dir, Options{Reserve: -1, Wait: -1})
	fmt.Println("open", errors.Is(err, site.Locked))
}

// A disk that has failed for good ends a Close with an error, not never; what
// was reported as done before is there when the disk is.
func TestCloseOnAFailedDisk(t *testing.T) {
	dir := tempDir(t)
	cmd, out := start(t, "stuck", dir)
	for _, want := range []string{"update <nil>", "close true true", "open true"} {
		if !out.Scan() || out.Text() != want {
			t.Fatalf("the child said %q, not %q", out.Text(), want)
		}
	}
	ok(t, cmd.Wait())
	for i := range 1000 {
		ok(t, os.Remove(filepath.Join(dir, engineDir, fmt.Sprintf("%06d.sst", i))))
	}
	s := openAt(t, dir)
	verify(t, s)
	if got := contents(t, s); !strings.Contains(got, "it was reported as done") {
		t.Errorf("found %q", got)
	}
}

// childCounts writes until it is killed, from several goroutines, and prints
// what was acknowledged.
func childCounts(s *Store) {
	said := make(chan string)
	for g := range 4 {
		go func() {
			for i := 0; ; i++ {
				pad := strings.Repeat("p", rand.IntN(900))
				err := s.Update(func(tx *Tx) error {
					if err := tx.Put(Records, fmt.Sprintf("g%d/%d/x", g, i), []byte(pad)); err != nil {
						return err
					}
					return tx.Put(Records, fmt.Sprintf("g%d/%d/y", g, i), []byte(pad))
				})
				if err != nil {
					said <- "error " + explain(err)
				}
				said <- fmt.Sprintf("%d %d", g, i)
			}
		}()
	}
	for line := range said {
		fmt.Println(line) // not buffered: each line is a promise
	}
}

// childStages stages until it is killed, accepts every other Stage, and prints
// the size and root of what it accepted.
func childStages(s *Store) {
	for i := 0; ; i++ {
		var h Head
		err := s.View(func(tx *Tx) (err error) {
			h, err = tx.Head(otherLog)
			return err
		})
		for range 2 {
			if err == nil {
				more := lines(rand.IntN(1e6), 1+rand.IntN(1500))
				h.Edge, err = s.Stage(context.Background(), otherLog, 1, h.Edge.Size, each(more, nil), h.Edge)
			}
		}
		if h.Epoch = 1; err == nil && i%2 == 1 {
			if err = s.Update(func(tx *Tx) error { return tx.SetHead(otherLog, h) }); err == nil {
				fmt.Println(h.Edge.Size, h.Edge.Root())
			}
		}
		if err != nil {
			fmt.Println("error", explain(err))
		}
	}
}

func TestKilledStageLeavesNothing(t *testing.T) {
	dir := tempDir(t)
	for range 4 {
		cmd, out := start(t, "stage", dir)
		time.AfterFunc(time.Duration(150+rand.IntN(400))*time.Millisecond, func() { cmd.Process.Kill() })
		var said string
		for out.Scan() {
			said = out.Text()
		}
		cmd.Wait()
		if strings.HasPrefix(said, "error") {
			t.Fatal(said)
		}
		s := openAt(t, dir)
		verify(t, s)
		h := head(t, s, otherLog)
		size, root, _ := strings.Cut(said, " ")
		if n, _ := strconv.ParseInt(size, 10, 64); said != "" && (h.Edge.Size < n || h.Edge.Size == n && h.Edge.Root().String() != root) {
			t.Errorf("%s was acknowledged, and the mark is at %d %v", said, h.Edge.Size, h.Edge.Root())
		}
		ok(t, s.Discard(otherLog))
		ok(t, s.View(func(tx *Tx) error {
			for c, want := range map[Collection]int64{Entries: h.Edge.Size, Rows: h.Edge.Size, Subtrees: h.Edge.Size / 256} {
				if n, err := tx.Count(c); n != want || err != nil {
					t.Errorf("%d %s, want %d: %v", n, c, want, err)
				}
			}
			return nil
		}))
		verify(t, s)
		ok(t, s.Close())
	}
}

func start(t *testing.T, what, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"="+what, childVar+"_DIR="+dir)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	return cmd, bufio.NewScanner(out)
}

func TestSecondProcessIsLockedOut(t *testing.T) {
	dir := tempDir(t)
	cmd, out := start(t, "hold", dir)
	if !out.Scan() || out.Text() != "holding" {
		t.Fatalf("the child said %q", out.Text())
	}
	_, err := Open(context.Background(), dir, Options{Wait: -1})
	if !errors.Is(err, site.Locked) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{`"fardel import /media"`, "process " + strconv.Itoa(cmd.Process.Pid), "since 20"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Open(ctx, dir, Options{Wait: time.Hour}); !errors.Is(err, site.Interrupted) {
		t.Errorf("cancelled: %v", err)
	}
	ok(t, cmd.Process.Kill())
	cmd.Wait()
	openAt(t, dir) // a dead process holds nothing
}

func TestKilledProcessKeepsItsWord(t *testing.T) {
	dir := tempDir(t)
	said := map[string]bool{}
	for range 5 {
		cmd, out := start(t, "count", dir)
		for n := 50 + rand.IntN(400); n > 0 && out.Scan(); n-- {
			if strings.HasPrefix(out.Text(), "error") {
				t.Fatal(out.Text())
			}
			said[out.Text()] = true
		}
		ok(t, cmd.Process.Kill())
		for out.Scan() {
			said[out.Text()] = true
		}
		cmd.Wait()
	}
	s := openAt(t, dir)
	verify(t, s)
	ok(t, s.View(func(tx *Tx) error {
		for line := range said {
			key := "g" + strings.Replace(line, " ", "/", 1)
			_, x, err := tx.Get(Records, key+"/x")
			ok(t, err)
			_, y, err := tx.Get(Records, key+"/y")
			ok(t, err)
			if !x || !y {
				t.Errorf("%s was acknowledged: x %v, y %v", key, x, y)
			}
		}
		t.Logf("%d acknowledged", len(said))
		return nil
	}))
}

// On a full disk the engine would end the process. The store has to say no
// before that, keep what it has, and go on when there is space again.
func TestFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root: it mounts a small tmpfs")
	}
	dir := tempDir(t)
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=96m"); err != nil {
		t.Skipf("a tmpfs cannot be mounted here: %v", err)
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	opts := Options{Reserve: 24 << 20, Wait: -1}
	s, err := Open(context.Background(), dir+"/state", opts)
	ok(t, err)
	defer func() { s.Close() }()

	if err := s.CheckSpace(90 << 20); !errors.Is(err, site.NoSpace) || !strings.Contains(err.Error(), "90 MiB") {
		t.Errorf("CheckSpace: %v", err)
	}
	ok(t, s.CheckSpace(1<<20))
	value := strings.Repeat("v", 200<<10)
	n := 0
	for ; err == nil && n < 1000; n++ {
		err = s.Update(put(fmt.Sprintf("v/%04d", n), value))
	}
	if !errors.Is(err, site.NoSpace) {
		t.Fatalf("after %d values: %v", n, err)
	}
	n-- // the last one was refused
	if _, err := os.Stat(dir + "/state/" + ballastName); err == nil {
		t.Error("the ballast was not given up")
	}
	ok(t, s.Close())
	s, err = Open(context.Background(), dir+"/state", opts)
	ok(t, err)
	verify(t, s)
	ok(t, s.View(func(tx *Tx) error {
		c, err := tx.Count(Records)
		if c != int64(n) {
			t.Errorf("%d values were acknowledged and %d are here", n, c)
		}
		return err
	}))
	ok(t, unix.Mount("tmpfs", dir, "tmpfs", unix.MS_REMOUNT, "size=192m"))
	ok(t, s.Update(put("more", value)))
}
