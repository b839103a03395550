// Before anything is painted, so that nothing flashes.
(() => {
  const kept = localStorage.getItem("sendpool-theme");
  if (kept) document.documentElement.dataset.theme = kept;
})();
