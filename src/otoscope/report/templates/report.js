// Legends switch curves on and off in all panels of their figure; printing opens what is folded.
for (const figure of document.querySelectorAll("figure.panels")) {
  for (const box of figure.querySelectorAll("input[data-series]")) {
    const apply = () => {
      for (const part of figure.querySelectorAll(".series-" + box.dataset.series)) {
        part.style.display = box.checked ? "" : "none";
      }
    };
    box.addEventListener("change", apply);
    apply();
  }
}
const folded = [];
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details:not([open])")) {
    folded.push(fold);
    fold.open = true;
  }
});
addEventListener("afterprint", () => {
  while (folded.length) folded.pop().open = false;
});
// One sound at a time.
const players = document.querySelectorAll("audio");
for (const player of players) {
  player.addEventListener("play", () => {
    for (const other of players) if (other !== player) other.pause();
  });
}
