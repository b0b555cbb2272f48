package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// envNote is the annotation that names the file of a container's environment,
// which is not in its specification because that is kept on disk.
const envNote = "stead.env"

// handEnv completes the bundle's specification, which lies where a reboot takes
// it, and removes the file.
func handEnv(bundle string) error {
	file := filepath.Join(bundle, "config.json")
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var notes struct{ Annotations map[string]string }
	if err := json.Unmarshal(data, &notes); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	from := notes.Annotations[envNote]
	if from == "" {
		return nil
	}
	env, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if data, err = with(data, "process", "env", env); err != nil {
		return fmt.Errorf("complete %s: %w", file, err)
	}
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	return os.Remove(from)
}

// with returns the JSON object with a member of one of its objects replaced.
func with(data []byte, object, member string, value json.RawMessage) ([]byte, error) {
	var outer, inner map[string]json.RawMessage
	if err := json.Unmarshal(data, &outer); err != nil {
		return nil, err
	}
	err := json.Unmarshal(outer[object], &inner)
	if err != nil {
		return nil, err
	}
	inner[member] = value
	if outer[object], err = json.Marshal(inner); err != nil {
		return nil, err
	}
	return json.Marshal(outer)
}
