/** Whose audio is on which track: pairs of track id and the name that stands above it. Changes nothing on the page. */
() =>
  [...document.querySelectorAll("[id^=videoremote] audio")].flatMap((audio) => {
    const slot = audio.closest("[id^=videoremote]").id.replace("videoremote", "remote");
    const name = document.getElementById(slot)?.textContent.trim();
    return name ? (audio.srcObject?.getAudioTracks() ?? []).map((track) => [track.id, name]) : [];
  })
