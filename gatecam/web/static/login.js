// The way in: where to go afterwards, and a token that came behind the address' #, which no server sees.
"use strict";
document.getElementById("next").value = new URLSearchParams(location.search).get("next") || "";
const given = new URLSearchParams(location.hash.slice(1)).get("token");
if (given) {
  history.replaceState(null, "", location.pathname + location.search);
  document.getElementById("token").value = given;
  document.getElementById("form").submit();
}
