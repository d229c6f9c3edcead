package tree

import (
	"os"
	"path/filepath"
	"testing"
)

// put writes a file below dir, with the folders it needs, and returns its path.
func put(t testing.TB, dir, path, content string, mode os.FileMode) string {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(full, mode); err != nil {
		t.Fatal(err)
	}
	return full
}
