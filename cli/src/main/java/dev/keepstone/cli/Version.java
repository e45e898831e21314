package dev.keepstone.cli;

import dev.keepstone.core.json.Json;

/// Which Keepstone this is.
final class Version {
  private Version() {}

  /// As in the jar's manifest; `development` where the classes lie in a folder.
  static String number() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "development" : version;
  }

  static Answer answer(Console console) {
    String jdk = Runtime.version().toString();
    console.say("keepstone " + number() + " · JDK " + jdk);
    return Answer.of(Json.object().put("version", number()).put("jdk", jdk).build());
  }
}
