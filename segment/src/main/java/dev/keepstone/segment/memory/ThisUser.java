package dev.keepstone.segment.memory;

/// Who this process is to the operating system.
public final class ThisUser {
  private ThisUser() {}

  /// The effective user id, which owns the files that this process makes.
  public static int id() {
    return CLibrary.effectiveUser();
  }
}
