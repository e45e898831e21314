package dev.keepstone.segment.file;

/// A record is not what it claims. Who knows the file makes a failure for people of it.
final class DamageException extends Exception {
  private static final long serialVersionUID = 1;

  DamageException(String message) {
    super(message);
  }
}
