package dev.keepstone.core.state;

/// A state tree that cannot be read or written; the message begins with the path, as in Python:
/// `state["optimizer"]["param_groups"][0]["lr"]: …`.
public final class StateTreeException extends IllegalArgumentException {
  private static final long serialVersionUID = 1;

  StateTreeException(String message) {
    super(message);
  }
}
