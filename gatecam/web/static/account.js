// A user's own page: who is logged in, and a new password.
"use strict";
session().then((told) => {
  $("who").textContent = told.user ? word("account.who", { name: told.user, role: word(`role.${told.role}`) }) : word("account.of_token");
  $("change").hidden = !told.user;
  $("user").value = told.user;
}).catch(tell("said"));
$("change").onsubmit = async (event) => {
  event.preventDefault();
  if ($("new").value !== $("again").value) { $("said").textContent = word("account.differ"); return; }
  try {
    await send("/api/account/password", { old: $("old").value, new: $("new").value });
    await session();
    $("change").reset();
    $("said").textContent = word("account.done");
  } catch (error) {
    $("said").textContent = error.message;
  }
};
